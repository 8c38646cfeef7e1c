/**
 * What a process appends through the leader, judged before it takes its place: by what it may say at all and, of
 * another host's, by what that said and began before.
 */
import { Fault, LedgerError } from '../../errors.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'
import type { Draft } from '../ledger.ts'
import { type Access, denied, local } from './access.ts'
import type { Attachments } from './attachments.ts'
import type { Said } from './said.ts'
import { underItsOwn } from './slots.ts'

interface Parts {
  readonly ledger: DirectoryLedger
  readonly writer: string
  readonly access: Access
  readonly attachments: Attachments
}

/** Exchanges of another host: each that is not over is one more outcome that an opening owes. */
const mostOpen = 16_384

export class Judging {
  readonly #ledger: DirectoryLedger
  readonly #writer: string
  readonly #access: Access
  readonly #attachments: Attachments
  /** Of what was judged last. */
  #judged: Promise<unknown> = Promise.resolve()

  constructor({ ledger, writer, access, attachments }: Parts) {
    this.#ledger = ledger
    this.#writer = writer
    this.#access = access
    this.#attachments = attachments
  }

  /** @throws what declines it. @param ids as that process made them */
  async append(drafts: readonly Draft[], ids: readonly string[]): Promise<void> {
    for (const { kind } of drafts) this.#requireSayable(kind)
    const { said } = this.#access
    if (said !== undefined) return this.#appendChecked(said, drafts, ids)
    await this.#ledger.appendAs(this.#writer, drafts, { ids })
    for (const draft of drafts) if (draft.kind === 'attachment') this.#attachments.spoken(draft.attachment)
  }

  #requireSayable(kind: Draft['kind']): void {
    if (!local.appends(kind)) {
      throw new LedgerError('ERR_ENTRY_MALFORMED', 'an entry of a kind that is for the ledger to say')
    }
    if (!this.#access.appends(kind)) throw denied(`append an entry of the kind ${kind}`)
  }

  /** What comes from another host: in its order, however long one takes to be judged, and sealed under keys that it does not choose. */
  async #appendChecked(said: Said, drafts: readonly Draft[], ids: readonly string[]): Promise<void> {
    const undo: (() => void)[] = []
    const settled: (() => void)[] = []
    const judged = this.#judged.then(async () => {
      const opened = drafts.flatMap(openedIn)
      undo.push(await said.ids.take(this.#writer, [...ids, ...opened]))
      for (const session of drafts.flatMap(spokenIn)) {
        if (!opened.includes(session)) await said.sessions.requireOwn(this.#writer, session)
      }
      for (const draft of drafts) await this.#judge(draft, said, { undo, settled })
    })
    this.#judged = judged.catch(() => undefined)
    try {
      await judged
      this.#requireFew(drafts)
      const own = drafts.map(draft => underItsOwn(draft, this.#writer))
      await this.#ledger.appendAs(this.#writer, own, { ids })
    } catch (error) {
      for (const back of undo) back()
      throw error
    } finally {
      for (const over of settled) over()
    }
  }

  /** Each by those before it too, of the same append and of others that are on their way. */
  async #judge(draft: Draft, said: Said, { undo, settled }: Record<'undo' | 'settled', (() => void)[]>): Promise<void> {
    for (const id of namedIn(draft)) said.ids.requireNotAhead(this.#writer, id)
    said.requireConcerned(draft)
    if (draft.kind === 'principal') settled.push(await said.name(draft))
    if (draft.kind === 'grant-requested') settled.push(said.ask(draft.grant, draft.seconds * 1000))
    if (draft.kind === 'approval-requested') {
      settled.push(said.ask(draft.approval, Date.parse(draft.until) - Date.now()))
    }
    if (draft.kind === 'attachment') undo.push(await this.#attachments.speak(draft))
    if (spokenOf(draft).some(exchange => this.#ledger.isAnothers(this.#writer, exchange))) {
      throw denied('speak of an exchange that another process has in flight')
    }
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE: what ends one goes on */
  #requireFew(drafts: readonly Draft[]): void {
    const begun = drafts.filter(begins).length
    if (begun === 0 || this.#ledger.inFlight(this.#writer) + begun <= mostOpen) return
    throw new Fault('ERR_LEDGER_UNAVAILABLE', `${mostOpen} exchanges of this process are in flight: it begins no more`)
  }
}

/** What a draft is of has not been looked at yet. */
function spokenOf(draft: Draft): readonly string[] {
  const { exchange, exchanges } = draft as { readonly exchange?: string; readonly exchanges?: unknown }
  return [...(exchange === undefined ? [] : [exchange]), ...(Array.isArray(exchanges) ? exchanges : [])]
}

/** Ids of its own making that a verifier goes by, as it does by those of entries. */
function namedIn(draft: Draft): readonly string[] {
  const { session } = draft as { readonly session?: string }
  return [...spokenOf(draft), ...(session === undefined ? [] : [session])].filter(id => typeof id === 'string')
}

/** Said to be opened again, a session would be of others too. */
const openedIn = (draft: Draft): readonly string[] =>
  draft.kind === 'session-opened' && typeof draft.session === 'string' ? [draft.session] : []

/** What was recorded was judged when that began. */
const spokenIn = (draft: Draft): readonly string[] =>
  (draft.kind === 'decision' || draft.kind === 'session-closed') && draft.session !== undefined ? [draft.session] : []

const begins = (draft: Draft): boolean =>
  draft.kind === 'approval-requested' || (draft.kind === 'decision' && draft.verdict === 'permit')
