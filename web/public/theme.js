// Runs before the first paint. It is a file of its own because the content policy forbids inline scripts.
;(() => {
  let choice = 'auto'
  let language = navigator.language
  try {
    choice = localStorage.getItem('mai.theme') || choice
    language = localStorage.getItem('mai.locale') || language
  } catch {
    // Storage may be blocked; the system's scheme and language are good answers then.
  }
  const dark = choice === 'dark' || (choice === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.mantineColorScheme = dark ? 'dark' : 'light'

  // What the page at this address will ask for is on its way while the first script still is. The build wrote the names.
  const preload = (attributes) => document.head.append(Object.assign(document.createElement('link'), attributes))
  const files = JSON.parse(document.currentScript.dataset.files)
  const catalogue = files[language.startsWith('pl') ? 'pl' : 'en'] ?? []
  const page = files[location.pathname.startsWith('/c/') ? 'chat' : location.pathname] ?? []
  for (const href of [...catalogue, ...page])
    preload(
      href.endsWith('.css') ? { rel: 'preload', as: 'style', href, crossOrigin: '' } : { rel: 'modulepreload', href },
    )
})()
