// Sets the colour scheme before the first paint. It is a file of its own because the content policy forbids inline scripts.
;(() => {
  let choice = 'auto'
  try {
    choice = localStorage.getItem('mai.theme') || 'auto'
  } catch {
    // Storage may be blocked; the system's scheme is a good answer then.
  }
  const dark = choice === 'dark' || (choice === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.mantineColorScheme = dark ? 'dark' : 'light'
})()
