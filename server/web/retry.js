// When a request is made again, how often, and after how long: for uploads, events and results.

const TRIES = 6; // a restart of the service takes less than these
const BUSY_TRIES = 40; // where the service itself said when to come back
const LONGEST = 10; // seconds between two tries, unless the service asks for more
const LONGEST_TOLD = 60;

/** Whether an error stays when the request is made again; lost connections and proxies do not. */
export const lasting = (error) => error.status >= 400 && error.status < 500 && error.status !== 429;

/** Whether the service is well, only full just now: it asks to come back, so nothing is wrong. */
const busy = (error) => (error.status === 429 || error.status === 503) && error.retryAfter > 0;

/**
 * What `attempt` gives; it is made again, with longer pauses, until it is given up. `note` hears
 * in words that the service is waited for, and "" when the wait is over.
 */
export async function retrying(attempt, { signal, note = () => {} }) {
  let refused = 0; // apart from those lost, so that a long line does not use up their tries
  let lost = 0;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || lasting(error)) throw error;
      if (busy(error)) refused += 1;
      else lost += 1;
      if (refused > BUSY_TRIES || lost > TRIES) throw error;
      const told = Math.min(error.retryAfter ?? 0, LONGEST_TOLD);
      const seconds = told || Math.min(2 ** lost, LONGEST);
      const why = busy(error) ? error.message : "Waiting for the service.";
      note(`${why} Next try in ${Math.ceil(seconds)} s.`);
      await pause(1000 * seconds, signal);
      note("");
    }
  }
}

/** Wait; ends at once, with an error, when `signal` is aborted. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
  });
}
