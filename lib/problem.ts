/** What is wrong in a file, and where: collected while reading, reported all at once. */
import { type AnyError, Misuse } from './errors.ts'

export interface Problem {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly column: number
  /** Never quotes a value that could be a secret. */
  readonly message: string
  /** What to do about it. */
  readonly hint?: string | undefined
}

/** `counterfoil.yaml:12:5: unknown key "lisen"; did you mean "listen"?` */
export function formatProblem({ file, line, column, message, hint }: Problem): string {
  return `${file}:${line}:${column}: ${message}${hint === undefined ? '' : `; ${hint}`}`
}

/**
 * @throws Misuse ERR_OPTION_INVALID where there is any problem: its message has a line for each, its data the first one's place
 * (file, line, column, hint) and all `problems`.
 */
export function refuseProblems(problems: readonly Problem[]): void {
  const [first] = problems
  if (first === undefined) return
  const { file, line, column, hint } = first
  const message = problems.map(formatProblem).join('\n')
  throw new Misuse('ERR_OPTION_INVALID', message, { file, line, column, hint, problems })
}

/** An error's message: in several lines where it tells of several problems, and in one, whatever it quotes, where not. */
export const linesOf = ({ message, data: { problems } }: AnyError): readonly string[] =>
  Array.isArray(problems) ? (problems as readonly Problem[]).map(formatProblem) : [message]
