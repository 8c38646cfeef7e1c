/** The report's style sheet: plain, for paper as for the screen, light or dark. Words carry the meaning; colour only helps. */
import type { Html } from './html.ts'

export const style: Html = {
  html: `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #4a5461; --paper: #fff; --line: #d5dae1; --faint: #f4f6f8; --link: #1f4b99; --bad: #9b1c1c; --warn: #7a4b00; --good: #1d5e38; --none: #4a5461; --bar: #3c6eb4; --band: #7d93b2 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #aab4c0; --paper: #15181c; --line: #363d47; --faint: #1f242a; --link: #9cc0ff; --bad: #ff9d94; --warn: #f1c067; --good: #8fd6a8; --none: #aab4c0; --bar: #6f9fe0; --band: #62748f } }
* { box-sizing: border-box }
body { font: 16px/1.55 system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; color: var(--ink); background: var(--paper); margin: 0 }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .4rem 0 .6rem } h2 { font-size: 1.35rem; margin: 2.8rem 0 .8rem; padding-bottom: .3rem; border-bottom: 2px solid var(--line) } h3 { font-size: 1.08rem; margin: 1.6rem 0 .5rem }
h1, h2, h3, li, p, figcaption, pre, .facts td { overflow-wrap: anywhere } td, th { overflow-wrap: break-word }
p, li, figcaption { max-width: 52rem } .lead { font-size: 1.08rem; color: var(--soft) }
a { color: var(--link); text-underline-offset: .15em } :focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
.stamp { display: inline-block; border: 2px solid var(--bad); color: var(--bad); font-weight: 700; padding: 0 .6rem; margin: 0 .5rem 0 0; letter-spacing: .08em }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; margin: 1rem 0; padding: 0; font-size: .95rem }
.verdicts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; list-style: none; margin: 0 0 1.2rem; padding: 0 }
.verdicts li { border: 1px solid var(--line); border-left: .4rem solid currentColor; background: var(--faint); padding: .5rem .9rem } .big { display: block; font-size: 2rem; line-height: 1.2 }
.word { font-weight: 650 } span.word { white-space: nowrap } .exceptions-noted, .exceptions-noted a { color: var(--bad) } .unable-to-test, .unable-to-test a { color: var(--warn) } .not-occurring, .not-occurring a { color: var(--none) } .no-exceptions-noted, .no-exceptions-noted a { color: var(--good) }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .94rem; margin: .3rem 0 } th, td { text-align: left; vertical-align: top; padding: .45rem .9rem .45rem 0; border-bottom: 1px solid var(--line); min-width: 4.5rem; font-weight: 400 } td:not(.n) { min-width: 8rem }
thead th { font-weight: 650; font-size: .86rem; color: var(--soft); white-space: nowrap; vertical-align: bottom; border-bottom: 2px solid var(--line) } .n { text-align: right; font-variant-numeric: tabular-nums; padding-right: 1.4rem } tbody th.n { text-align: right }
.facts th { width: 15rem; color: var(--soft); padding-right: 1.2rem } small { color: var(--soft) } .plain { border-left: .3rem solid var(--warn); background: var(--faint); padding: .5rem .9rem }
code, pre { font: .88em/1.5 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; overflow-wrap: anywhere } pre { white-space: pre-wrap; background: var(--faint); border: 1px solid var(--line); padding: .6rem .8rem; margin: .3rem 0 } summary { cursor: pointer }
tr.none td, tr.none th { color: var(--soft) } .control { margin-bottom: 2.2rem } .control .scroll tbody th { min-width: 13rem }
figure { margin: 0 } figure svg { display: block; width: 100%; min-width: 44rem; height: auto } svg text { font: 12px system-ui, sans-serif; fill: var(--soft) } .permitted { fill: var(--bar) } .refused, .gap { fill: var(--bad) } .grants { fill: var(--band) } .policy { fill: var(--warn) } .rule { stroke: var(--soft); stroke-width: 1; fill: none } .hatch { stroke: var(--line); stroke-width: 2 } figcaption { color: var(--soft); font-size: .94rem; margin-top: .5rem }
@media (max-width: 40rem) { body { font-size: 15px } main { padding: 1rem .9rem 3rem } th, td { padding-right: .7rem; min-width: 3rem } .n { padding-right: .7rem } thead th { white-space: normal; font-size: .78rem } .facts th, .facts td { display: block; width: auto; padding: .2rem 0; border: 0 } .facts td { border-bottom: 1px solid var(--line); padding-bottom: .5rem } h1 { font-size: 1.5rem } }
@media print { .verdicts { grid-template-columns: repeat(4, 1fr) } .hatch { stroke: #ddd } :root { --ink: #000; --soft: #333; --paper: #fff; --line: #999; --faint: #fff; --link: #000; --bad: #7d1212; --warn: #5c3900; --good: #0f4424; --none: #333; --bar: #3c6eb4; --band: #7d93b2 } body { font-size: 10.5pt } main { max-width: none; padding: 0 } nav { display: none } a { text-decoration: none } .scroll { overflow: visible } .control .scroll tbody th { min-width: 0 } figure svg { min-width: 0 } h2, h3 { break-after: avoid } tr, figure, .verdicts li { break-inside: avoid } table { font-size: 9pt } thead { display: table-header-group } @page { margin: 16mm 14mm } }
`,
}
