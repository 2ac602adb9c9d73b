// The answers of a run as files, made in the browser: the names of the scans never left it.

const COLUMNS = [
  "file", "member", "kind", "plane", "slice", "slices", "empty", "label", "probability", "risk", "in_distribution",
  "ood_score", "warnings", "error_code", "error", "model", "version", "threshold_low", "threshold_label",
  "threshold_high", "disclaimer",
];

/**
 * A table by RFC 4180: a line for each image, each slice of a volume, and each file without an answer.
 *
 * @param {import("./rows.js").Rows} rows
 * @param {string} disclaimer
 */
export function csvOf(rows, disclaimer) {
  const lines = rows.all.flatMap((row) => linesOf(row).map((line) => ({ ...line, disclaimer })));
  const table = [COLUMNS, ...lines.map((line) => COLUMNS.map((column) => line[column]))];
  // The mark at the start tells spreadsheets that this is UTF-8.
  return `\ufeff${table.map((cells) => cells.map(cellOf).join(",")).join("\r\n")}\r\n`;
}

/**
 * What the API answers to these files (`AnalysisReport`, without maps and pictures), with the files' names.
 *
 * A result that another version answered than the first one says so itself.
 *
 * @param {import("./rows.js").Rows} rows
 * @param {string} disclaimer
 */
export function jsonOf(rows, disclaimer) {
  const first = rows.models[0] ?? null;
  const scans = rows.all.filter((row) => row.study);
  return JSON.stringify(
    {
      files: rows.files.map((file) => file.name),
      results: scans.map((row, study) => resultOf(row, study, first)),
      refused: rows.all.filter((row) => row.error).map(({ file, member, error }) => ({ file, member, error })),
      model: first?.model ?? null,
      thresholds: first?.thresholds ?? null,
      latency_ms: rows.latency,
      disclaimer,
    },
    null,
    1,
  );
}

function resultOf(row, study, first) {
  const { event, ...head } = row.study;
  const { model, thresholds } = row.model ?? {};
  const slices = row.slices
    .map((one) => ({ ...one, heatmap: null, picture: null, overlay: null }))
    .toSorted((one, other) => one.index - other.index);
  const other = model && model.version !== first.model.version ? { model, thresholds } : {};
  return { ...head, study, slices, ...other };
}

function linesOf({ name, member, study, slices, model, error }) {
  const head = {
    file: name, member, kind: study?.kind, plane: study?.plane, slices: study?.length,
    model: model?.model.name, version: model?.model.version, threshold_low: model?.thresholds.low,
    threshold_label: model?.thresholds.label, threshold_high: model?.thresholds.high,
  };
  if (error) return [{ ...head, error_code: error.code, error: error.message }];
  return slices.map(({ index, empty, decision, warnings }) => ({
    ...head, ...decision, empty, slice: index + 1, warnings: warnings.map(({ code }) => code).join(" "),
  }));
}

/** A cell; a text that a spreadsheet would take for a formula gets an apostrophe before it. */
function cellOf(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
