/** The report's style sheet: plain, for paper as for the screen. Words carry the meaning; colour only helps. */
import type { Html } from './html.ts'

export const style: Html = {
  html: `
body { font: 16px/1.5 Georgia, 'Times New Roman', serif; color: #1a1a1a; background: #fff; margin: 0 }
main { max-width: 60rem; margin: 2rem auto; padding: 0 1.2rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .2rem 0 } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #999 }
.lead { font-size: 1.05rem } .stamp { display: inline-block; border: 2px solid #8a1c1c; color: #8a1c1c; font-weight: bold; padding: 0 .5rem; margin: 0 .5rem 0 0; letter-spacing: .08em }
table { border-collapse: collapse; width: 100%; font-size: .92rem } th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid #ddd }
.facts th { width: 16rem; font-weight: normal; color: #444 } td.n { text-align: right; font-variant-numeric: tabular-nums }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere } small { color: #444 } a { color: #1f3d7a }
.word { font-weight: bold; white-space: nowrap } .word small { font-weight: normal; white-space: normal } .exceptions-noted, .exceptions-noted a { color: #8a1c1c } .unable-to-test, .unable-to-test a { color: #7a4b00 }
tr.none td { color: #555 } .plain { border-left: 3px solid #7a4b00; padding-left: .8rem }
@media print { main { max-width: none; margin: 0 } a { color: inherit } section { break-inside: avoid-page } tr { break-inside: avoid } }
`,
}
