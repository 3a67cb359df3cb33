// Numbers and states in words.

const SYMBOLS = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };

export function bytes(count) {
  // What rounds to 1000 is 1 of the next unit.
  const unit = Object.keys(SYMBOLS).findLast((name) => count >= 0.9995 * SYMBOLS[name]) ?? "B";
  const value = count / SYMBOLS[unit];
  if (unit === "B") return `${value} B`;
  return `${value < 99.5 ? value.toPrecision(2) : Math.round(value)} ${unit}`;
}

export function size(width, height) {
  return `${width} × ${height}`;
}

export function seconds(value) {
  const whole = Math.round(value); // first, so that no minute has 60 s
  if (whole >= 60) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${value < 9.95 ? value.toFixed(1) : whole} s`;
}

/** An agreement in dB, and the typical difference that it stands for. */
export function consistency(decibels) {
  const levels = 255 * 10 ** (-decibels / 20);
  const about = levels < 0.1 ? "under 0.1" : levels.toFixed(1);
  return `${decibels.toFixed(1)} dB (±${about} of 255)`.replace("±under", "under");
}

const percent = (progress) => `${Math.round(100 * progress)} %`;

/** The state of a picture in a few words; `estimate` is the size it would get, or null. */
export function state(item, estimate) {
  if (item.note) return item.note;
  const place = item.place > 0 ? `, place ${item.place} in the queue` : "";
  const words = {
    ready: estimate
      ? `${size(item.width, item.height)} → ${size(...estimate)}`
      : `Ready, ${bytes(item.file.size)}`,
    waiting: "Waiting",
    uploading: `Uploading, ${percent(item.progress)}`,
    queued: `Waiting${place}`,
    running: `Enlarging, ${percent(item.progress)}`,
    fetching: "Loading the result",
    failed: item.error?.title || item.error?.message, // whole beside the picture
    cancelled: "Cancelled",
  };
  if (item.state !== "done") return words[item.state];
  const { output } = item.job;
  const took = item.job.seconds === null ? "" : ` in ${seconds(item.job.seconds)}`;
  return `${size(output.width, output.height)}${took}`;
}

/** What the result does not have of the picture, or "". */
export function leftOut({ rounded_to_8_bit: rounded, pages_left_out: pages }) {
  const left = [rounded && "8 of 16 bits", pages && `${pages} page${pages > 1 ? "s" : ""}`];
  return left.filter(Boolean).join(", ");
}

/** What a screen reader is told when something ends, or "". */
export function announcement(item) {
  const ends = {
    done: `${item.name}: finished, ${state(item)}.`,
    failed: `${item.name}: failed. ${item.error?.message}`,
    cancelled: `${item.name}: cancelled.`,
  };
  return ends[item.state] ?? "";
}
