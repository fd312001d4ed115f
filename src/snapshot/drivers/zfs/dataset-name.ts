/** As zfs(8) names datasets, and never an option or a snapshot. */
const NAME = /^[A-Za-z0-9][\w.: -]*(?:\/[\w.:][\w.: -]*)*$/;

/** Whether this is a name for a dataset, with room for more behind it (256 bytes in all). */
export const isDatasetName = (name: string): boolean => NAME.test(name) && name.length < 200;
