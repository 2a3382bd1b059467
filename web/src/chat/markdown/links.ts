/** The address when it may be followed, else undefined. Everything that is not plainly a link is only text. */
export function safeLink(href: string): string | undefined {
  const url = href.trim()
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    // No relative links: an answer knows nothing of this site's addresses.
    return undefined
  }
  return ['http:', 'https:', 'mailto:', 'tel:'].includes(parsed.protocol) ? parsed.href : undefined
}

/** The host of an address, for saying where a link leads. */
export function hostOf(href: string): string {
  try {
    return new URL(href).host
  } catch {
    return ''
  }
}
