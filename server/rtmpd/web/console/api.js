// The API of the server that this page is of.

const BASE = "api/v1";
const PATIENCE_MS = 10000;

/** The server does not do it. `message` is for people. */
export class Problem extends Error {
  constructor(status, type, detail) {
    super(detail);
    this.status = status;
    /** A word, such as "session_not_found"; empty where nobody answers. */
    this.type = type;
  }
}

/** What somebody who is not logged in, or no more, is to be shown. */
export const listeners = { unauthorised: () => {} };

export const get = (path) => ask("GET", path);
export const post = (path, body = {}) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);

/** Where the API has a stream. */
export function streamPath({ app, name }) {
  return `/streams/${encodeURIComponent(app)}/${encodeURIComponent(name)}`;
}

/** The problem with an answer that does not end, or null where it begins; its end is not waited for. */
export async function whyNot(path) {
  const leaving = new AbortController();
  const timer = setTimeout(() => leaving.abort(), PATIENCE_MS);
  try {
    await ask("GET", path, undefined, leaving.signal);
    return null;
  } catch (problem) {
    return problem;
  } finally {
    clearTimeout(timer);
    leaving.abort();
  }
}

/** With a signal of who `leaves` what is answered is not read, but for a problem. */
async function ask(method, path, body, leaves = null) {
  const signal = leaves ?? AbortSignal.timeout(PATIENCE_MS);
  const options = { method, headers: {}, cache: "no-store", signal };
  // Changes have to be JSON: that is what a page of another site cannot send unasked.
  if (method !== "GET") options.headers["Content-Type"] = "application/json";
  if (body !== undefined) options.body = JSON.stringify(body);
  let response;
  let answer = null;
  try {
    response = await fetch(BASE + path, options);
    if (leaves !== null && response.ok) return null;
    const text = await response.text();
    answer = text === "" ? null : JSON.parse(text);
  } catch (error) {
    if (response === undefined || error.name !== "SyntaxError") {
      throw new Problem(0, "", "The server does not answer.");
    }
  }
  if (response.ok) return answer;
  const type = String(answer?.type ?? "").replace("urn:rtmpd:problem:", "");
  const detail = String(answer?.detail ?? `The server answers ${response.status}`);
  const problem = new Problem(response.status, type, detail.charAt(0).toUpperCase() + detail.slice(1));
  if (response.status === 401 && !path.startsWith("/log")) listeners.unauthorised(problem);
  throw problem;
}
