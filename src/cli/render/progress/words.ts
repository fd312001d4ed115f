/** What is said of a layer, by what happens to the image. */
export interface Words {
  readonly exists: string;
  readonly moving: string;
  readonly moved: string;
  readonly complete: string;
}

/** docker's. */
export const PULL: Words = {
  exists: 'Already exists',
  moving: 'Downloading',
  moved: 'Download complete',
  complete: 'Pull complete',
};

/** docker's. */
export const PUSH: Words = {
  exists: 'Layer already exists',
  moving: 'Pushing',
  moved: 'Pushed',
  complete: 'Pushed',
};

export const LOAD: Words = {
  exists: 'Already exists',
  moving: 'Loading layer',
  moved: 'Loaded',
  complete: 'Load complete',
};

export const SAVE: Words = {
  exists: 'Already saved',
  moving: 'Saving',
  moved: 'Saved',
  complete: 'Saved',
};

export const COPY: Words = {
  exists: 'Already exists',
  moving: 'Copying',
  moved: 'Copied',
  complete: 'Copy complete',
};
