/** The end of an identification: when it expires, or when whoever vouches for it takes it back. */
import { alarm } from '../alarm.ts'
import type { Clock } from '../clock.ts'
import { type Fault, Refusal } from '../errors.ts'
import type { Subject } from './subject.ts'

const expired = () => new Refusal('ERR_UNIDENTIFIED', 'the identification has expired: log in again')

/** @throws Refusal ERR_UNIDENTIFIED where it has ended already */
export function refuseExpired(subject: Subject, clock: Clock): void {
  if (subject.expires !== undefined && subject.expires <= clock.now()) throw expired()
}

/** @param cut called once or twice, at once where it has ended already. @returns a function that ends the watch */
export function watchIdentity(subject: Subject, clock: Clock, cut: (reason: Refusal | Fault) => void): () => void {
  const ends = [
    subject.expires === undefined ? undefined : alarm(clock, subject.expires, () => cut(expired())),
    subject.withdrawn?.(cut),
  ]
  return () => {
    for (const end of ends) end?.()
  }
}
