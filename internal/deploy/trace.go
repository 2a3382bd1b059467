package deploy

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"mai/internal/remote"
)

// Trace is what stands on a host about one of its instances.
type Trace struct {
	Name    string // of the instance: "mai-companyabc"
	Note    string
	Secrets map[string]string // those that are there
}

// Traces finds the instances that a machine was given, whether or not they run.
func Traces(m *remote.Machine) (traces []Trace, err error) {
	names, err := m.List(instanceRoot)
	for _, name := range names {
		if err != nil || !strings.HasPrefix(name, "mai-") {
			continue
		}
		t := Trace{Name: name, Secrets: map[string]string{}}
		folder := Instance{Name: name}.Folder()
		note, missing := m.ReadFile(path.Join(folder, noteFile))
		switch {
		case errors.Is(missing, fs.ErrNotExist):
			continue
		case missing != nil:
			return nil, missing
		}
		t.Note = string(note)
		for _, secret := range []string{SecretKey, SecretSetup, SecretToken} {
			text, missing := m.ReadFile(path.Join(folder, "secrets", secret))
			if missing == nil {
				t.Secrets[secret] = string(text)
			} else if !errors.Is(missing, fs.ErrNotExist) {
				return nil, missing
			}
		}
		traces = append(traces, t)
	}
	return traces, err
}
