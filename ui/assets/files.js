// Files out of whatever the browser hands over: a drop, the clipboard, a folder.

const SCANS = /\.(png|jpe?g|webp|dcm|dicom|nii|nii\.gz|zip)$/i;

/** What a file dialog offers. Phones grey out all but known types, hence the types beside the endings. */
export const ACCEPT = ".png,.jpg,.jpeg,.webp,.dcm,.dicom,.nii,.gz,.zip,image/png,image/jpeg,image/webp,application/dicom,application/zip";

/** A file in a folder that may be a scan. One without ending may be DICOM; the server reads its content. */
const maybeScan = (file) => !file.name.startsWith(".") && (SCANS.test(file.name) || !file.name.includes("."));

/** Of the files of a folder those that may be scans; what else lies there is not sent. */
export const scansOf = (files) => [...files].filter(maybeScan);

/**
 * The files of a drop, folders walked through. Call it within the event: the browser forgets the items
 * once the handler returns.
 */
export async function droppedFiles(transfer) {
  const entries = [...(transfer.items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = await Promise.all(entries.map(async (entry) => {
    const files = await walk(entry);
    return entry.isDirectory ? scansOf(files) : files; // a single wrong file is sent, and explained
  }));
  return found.flat();
}

/** The files or the image on the clipboard. */
export const pastedFiles = (clipboard) => [...(clipboard?.files ?? [])];

async function walk(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    // A reader tells a folder's entries by the hundred, and none when it is through.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return files;
    for (const one of some) files.push(...(await walk(one)));
  }
}
