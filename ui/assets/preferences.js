// What somebody chose for this browser: language and colours, nothing about scans.

/** What was kept under a name, or null; also where the browser keeps nothing for this page. */
export function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Keep a choice for the next visit, where the browser lets us. */
export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // It holds until the page is left.
  }
}
