import { memo, useEffect, useRef, useState } from 'react'

type Katex = typeof import('katex').default

let loading: Promise<Katex> | undefined
let loaded: Katex | undefined

function load(): Promise<Katex> {
  loading ??= Promise.all([import('katex'), import('katex/dist/katex.min.css')]).then(([module]) => {
    loaded = module.default
    return loaded
  })
  return loading
}

/** A formula. KaTeX builds its nodes itself, without HTML text, so the page's content policy needs no exception. */
export const Formula = memo(function Formula({ tex, display }: { tex: string; display: boolean }) {
  const ref = useRef<HTMLSpanElement>(null)
  const [katex, setKatex] = useState<Katex | undefined>(loaded)
  useEffect(() => {
    if (katex) return
    load().then(
      (k) => setKatex(() => k),
      () => {
        if (ref.current) ref.current.textContent = tex
      },
    )
  }, [katex, tex])
  useEffect(() => {
    const el = ref.current
    if (!katex || !el) return
    try {
      katex.render(tex, el, {
        displayMode: display,
        throwOnError: true,
        trust: false,
        maxExpand: 500,
        maxSize: 40,
        strict: false,
      })
    } catch {
      // What cannot be set is shown as it was written.
      el.textContent = tex
    }
  }, [katex, tex, display])
  // React gives the node no children: they belong to KaTeX.
  return display ? (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <span className="formula" tabIndex={0} ref={ref} role="math" aria-label={tex} />
  ) : (
    <span ref={ref} />
  )
})
