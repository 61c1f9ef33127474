// The tests of the page, in a real browser: `cargo xtask page` runs them. Words on the command line select tests by name.
//
//   PM_PROGRAM=.. PM_CHROMIUM=.. PM_MODULES=.. [PM_SHOTS=folder] node all.mjs [WORD...]

import { run } from './harness.mjs';
import './table.mjs';
import './detail.mjs';
import './killing.mjs';
import './views.mjs';
import './connection.mjs';
import './hostile.mjs';
import './access.mjs';
import './figures.mjs';

process.exit((await run(process.argv.slice(2))) ? 1 : 0);
