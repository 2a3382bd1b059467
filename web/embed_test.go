package web_test

import (
	"io/fs"
	"strings"
	"testing"

	"mai/web"
)

// The server relies on this: a built UI has index.html, and each of its text files lies there compressed too.
func TestBuiltUIIsPrecompressed(t *testing.T) {
	files, built := web.Files()
	if !built {
		t.Skip("the UI is not built into this binary; npm run build in web/ makes it")
	}
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !strings.HasSuffix(path, ".js") && !strings.HasSuffix(path, ".css") && !strings.HasSuffix(path, ".html") {
			return nil
		}
		for _, form := range []string{".br", ".gz"} {
			if _, err := fs.Stat(files, path+form); err != nil {
				t.Errorf("%s has no %s form", path, form)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
