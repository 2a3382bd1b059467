package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/account"
	"mai/internal/chat"
	"mai/internal/fault"
	"mai/internal/meter"
	"mai/internal/sqldb"
	"mai/internal/webapp"
)

// Eraser removes a person from everywhere but the books, where they stay as an id without a name.
type Eraser struct {
	Accounts *account.Accounts
	Chats    *chat.Chats
	Meter    *meter.Meter
	DB       *sqldb.DB
	// Lists are the files that name who was erased, a line each with their id and when: in the data folder and beside the
	// backups. A restore brings the list along, so that a backup from before does not bring anybody back.
	Lists []string
}

// rest is what goes with the account, in its transaction.
func (e Eraser) rest(userID string) func(*sqldb.Tx) error {
	return func(tx *sqldb.Tx) error {
		if err := e.Chats.EraseUser(tx, userID); err != nil {
			return err
		}
		return e.Meter.Forget(tx, userID)
	}
}

// known is who the lists and the database name.
func (e Eraser) known(ctx context.Context) (all []account.Erasure, err error) {
	for _, path := range e.Lists {
		listed, err := readErased(path)
		if err != nil {
			return nil, err
		}
		all = append(all, listed...)
	}
	err = e.DB.Read(ctx, func(tx *sqldb.Tx) error {
		stored, err := account.Erasures(tx)
		all = append(all, stored...)
		return err
	})
	slices.SortStableFunc(all, func(a, b account.Erasure) int { return strings.Compare(a.UserID, b.UserID) })
	return slices.CompactFunc(all, func(a, b account.Erasure) bool { return a.UserID == b.UserID }), err
}

// list writes all lists anew, each with everybody.
func (e Eraser) list(ctx context.Context) error {
	all, err := e.known(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	var text strings.Builder
	for _, one := range all {
		fmt.Fprintf(&text, "%s %s\n", one.UserID, one.At.UTC().Format(time.RFC3339))
	}
	var errs []error
	for _, path := range e.Lists {
		if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
			continue // no backup was made yet
		}
		errs = append(errs, writeFile(path, text.String()))
	}
	return errors.Join(errs...)
}

// writeFile replaces a file by a whole new one.
func writeFile(path, text string) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = file.WriteString(text)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

// readErased reads a list; none when there is no file.
func readErased(path string) (list []account.Erasure, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the list of erased users: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		id, when, _ := strings.Cut(strings.TrimSpace(line), " ")
		at, err := time.Parse(time.RFC3339, when)
		if err != nil || id == "" {
			return nil, fmt.Errorf("%s holds %q, which is no id and time", path, line)
		}
		list = append(list, account.Erasure{UserID: id, At: at})
	}
	return list, nil
}

// Again erases whom the lists name and a restored backup brought back, and brings the lists up to date. It returns how many
// there were.
func (e Eraser) Again(ctx context.Context) (n int, err error) {
	all, err := e.known(ctx)
	if err != nil {
		return 0, err
	}
	for _, one := range all {
		was, err := e.Accounts.EraseAgain(ctx, one, e.rest(one.UserID))
		if err != nil {
			return n, err
		}
		if was {
			n++
		}
	}
	return n, e.list(ctx)
}

type eraseOwnInput struct {
	Body struct {
		Password string `json:"password" doc:"the caller's own"`
	}
}

func (s *Server) eraseRoutes(api huma.API) {
	add(s, api, Admins, "DELETE", "/api/v1/users/{id}", "Erase a user: account, chats, keys and sessions; what they spent stays in the books without a name", func(ctx context.Context, c caller, in *IDInput) (*none, error) {
		if in.ID == c.ID {
			return nil, fault.New(fault.Conflict, "To erase your own account, go to Settings → Account.")
		}
		return nil, s.erased(ctx, s.Accounts.Erase(ctx, in.ID, s.eraser().rest(in.ID)))
	})
	add(s, api, Waiting, "POST", "/api/v1/auths/erase", "Erase the caller's own account, with all chats", func(ctx context.Context, c caller, in *eraseOwnInput) (*none, error) {
		err := s.erased(ctx, s.Accounts.EraseOwn(ctx, c.Identity, in.Body.Password, s.eraser().rest(c.ID)))
		if err == nil {
			webapp.ClearSession(c.w, webapp.Encrypted(c.r, s.Trusted))
		}
		return nil, err
	})
}

func (s *Server) eraser() Eraser {
	return Eraser{s.Accounts, s.Chats, s.Meter, s.DB, s.ErasedLists}
}

// erased brings the list up to date after an erasure. When that fails the next start does it.
func (s *Server) erased(ctx context.Context, err error) error {
	if err == nil {
		if err := s.eraser().list(context.WithoutCancel(ctx)); err != nil {
			s.Log.Error("the list of erased users was not written; the next start writes it", "err", err)
		}
	}
	return err
}
