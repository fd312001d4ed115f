/** A member of this prefix deletes what lower layers have under the rest of its name. */
export const WHITEOUT_PREFIX = '.wh.';
/** A member of this name hides what lower layers have in its directory. */
export const OPAQUE_WHITEOUT = '.wh..wh..opq';
