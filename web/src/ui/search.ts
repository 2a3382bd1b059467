/** Letters as people type who leave their marks out: `Zieliński` as `zielinski`. */
const plain = (text: string) => text.toLowerCase().normalize('NFD').replace(/\p{M}/gu, '').replaceAll('ł', 'l')

/** Tells whether all words of a search are in a text, whatever their case and the marks of their letters. */
export function finder(search: string): (text: string) => boolean {
  const words = plain(search).split(/\s+/).filter(Boolean)
  return (text) => {
    const within = plain(text)
    return words.every((word) => within.includes(word))
  }
}
