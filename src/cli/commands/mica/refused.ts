import { MicaError } from '../../../errors.ts';
import type { Define } from '../../verbs.ts';

/** A verb of docker that Mica has not. */
export const refused =
  (why: string): Define =>
  (command) => {
    const family = command.parent?.parent ? `${command.parent.name()} ` : '';
    command
      .description(`Not in Mica: ${why}`)
      .argument('[word...]')
      .allowUnknownOption()
      .action(() => {
        throw new MicaError(
          'NOT_IMPLEMENTED',
          `there is no mica ${family}${command.name()}: ${why}`,
        );
      });
  };
