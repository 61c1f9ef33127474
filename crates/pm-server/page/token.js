// The token, if the server requires one: it arrives in the fragment, which is in no request and no log, is removed from the
// address at once, and is stored for this tab only. It is sent in the Authorization header and nowhere else.

const KEY = `pm-token ${new URL('.', location.href).pathname}`;

/** Removes `token=...` from the fragment. */
export function takeToken() {
  const words = location.hash.slice(1).split('&');
  const found = words.find((word) => word.startsWith('token='));
  if (found === undefined) return;
  const rest = words.filter((word) => word !== found).join('&');
  history.replaceState(history.state, '', `${location.pathname}${location.search}${rest ? `#${rest}` : ''}`);
  setToken(decode(found.slice('token='.length)));
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {string} token */
export function setToken(token) {
  token = token.trim();
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage may be disabled; then the token lives as long as the page.
  }
  current = token;
}

let current = (() => {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
})();

export function token() {
  return current;
}

/** Distinguishes tokens without revealing them: tabs share a stream only if they have the same one. */
export function tokenMark() {
  let hash = 0x811c9dc5;
  for (const c of current) hash = Math.imul(hash ^ c.charCodeAt(0), 0x01000193);
  return current ? (hash >>> 0).toString(16) : '-';
}
