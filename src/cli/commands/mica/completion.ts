import { Argument, type Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { SCRIPTS, type Shell } from '../../completion/scripts.ts';
import { examples } from '../../program.ts';

export function completion(command: Command, cli: Cli): void {
  command
    .addArgument(new Argument('<shell>', 'whose').choices(Object.keys(SCRIPTS)))
    .action((shell: Shell) => cli.out.write(SCRIPTS[shell]));
  examples(
    command,
    ['source <(mica completion bash)', 'in ~/.bashrc'],
    ['source <(mica completion zsh)', 'in ~/.zshrc, after compinit'],
    ['mica completion fish | source', 'in ~/.config/fish/config.fish'],
  );
}
