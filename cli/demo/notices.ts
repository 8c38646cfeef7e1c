/** What oidc-provider says of itself when it starts is for whoever runs one in production; here it is part of the stage. */
// On a terminal it begins with a colour.
const ofItself =
  /^\S*oidc-provider WARNING: (?:Unsupported runtime|a quick start development-only|failed to setup SSRF protection)/

/** Runs it without those three warnings; every other one is written as ever. */
export async function withoutNotices<T>(run: () => Promise<T>): Promise<T> {
  const { warn } = console
  console.warn = (...args: unknown[]) => {
    if (!ofItself.test(String(args[0]))) warn.apply(console, args)
  }
  try {
    return await run()
  } finally {
    console.warn = warn
  }
}
