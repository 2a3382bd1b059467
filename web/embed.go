// Package web carries the built browser UI inside the binary, so that one file is the whole program.
// The Go build does not need Node: without a built UI the package holds only a placeholder and says so.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files returns the built UI with index.html at its root, each text file beside its precompressed .br and .gz
// forms. It reports false when the UI was not built into this binary ("npm run build" in web/ makes it).
func Files() (fs.FS, bool) {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, false
	}
	if _, err := fs.Stat(files, "index.html"); err != nil {
		return files, false
	}
	return files, true
}
