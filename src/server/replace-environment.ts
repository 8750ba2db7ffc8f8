/** Main thread of a process under the supervisor. The environment as its supervisor has it now. */

/** It may have been forked before the files were read anew that variables come from. */
export function replaceEnvironment(environment: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  for (const [name, value] of Object.entries(environment))
    if (process.env[name] !== value) process.env[name] = value;
}
