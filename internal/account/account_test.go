package account_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"mai/internal/account"
	"mai/internal/fault"
	"mai/internal/sqldb"
)

const password = "correct horse battery"

// instance is an instance's people, on a real database with a clock that only the test moves.
type instance struct {
	*account.Accounts
	t   *testing.T
	dir string
	db  *sqldb.DB

	mu    sync.Mutex
	clock time.Time
}

func open(t *testing.T, opts account.Options) *instance {
	t.Helper()
	in := &instance{t: t, dir: t.TempDir(), clock: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	db, err := sqldb.Open(t.Context(), in.dir, sqldb.Options{Now: in.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	opts.Now = in.now
	in.db, in.Accounts = db, account.New(db, opts)
	return in
}

func (in *instance) now() time.Time {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.clock
}

func (in *instance) wait(d time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.clock = in.clock.Add(d)
}

// first registers the admin ann.
func (in *instance) first() (account.User, string) {
	in.t.Helper()
	user, token, err := in.SignUp(in.t.Context(), account.SignUp{Name: "Ann", Email: "ann@example.com", Password: password})
	if err != nil {
		in.t.Fatal(err)
	}
	return user, token
}

func (in *instance) add(name string, role account.Role) account.User {
	in.t.Helper()
	user, err := in.Create(in.t.Context(), account.NewUser{Name: name, Email: name + "@example.com", Password: password, Role: role})
	if err != nil {
		in.t.Fatal(err)
	}
	return user
}

func (in *instance) signIn(user account.User) string {
	in.t.Helper()
	_, token, err := in.SignIn(in.t.Context(), user.Email, password, local())
	if err != nil {
		in.t.Fatal(err)
	}
	return token
}

func (in *instance) identity(token string) account.Identity {
	in.t.Helper()
	id, err := in.Authenticate(in.t.Context(), token)
	if err != nil {
		in.t.Fatal(err)
	}
	return id
}

func (in *instance) alive(token string) bool {
	in.t.Helper()
	_, err := in.Authenticate(in.t.Context(), token)
	if err != nil && !fault.Is(err, fault.Unauthenticated) {
		in.t.Fatal(err)
	}
	return err == nil
}

func (in *instance) exec(query string, args ...any) {
	in.t.Helper()
	if err := in.db.Write(in.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	}); err != nil {
		in.t.Fatal(err)
	}
}

func local() netip.Addr { return netip.MustParseAddr("127.0.0.1") }

func want(t *testing.T, err error, kind fault.Kind, sentence string) {
	t.Helper()
	if !fault.Is(err, kind) || !strings.Contains(fault.Message(err), sentence) {
		t.Errorf("got %v, want a fault %s with %q", err, kind, sentence)
	}
}

func TestFirstRegistrationsRace(t *testing.T) {
	for _, policy := range []account.SignUpPolicy{account.Closed, account.NeedApproval} {
		t.Run(fmt.Sprint(policy), func(t *testing.T) {
			in := open(t, account.Options{SignUp: policy})
			var wg sync.WaitGroup
			start := make(chan struct{})
			for i := range 50 {
				wg.Go(func() {
					<-start
					user, token, err := in.SignUp(context.Background(), account.SignUp{
						Name: "P", Email: fmt.Sprintf("p%d@example.com", i), Password: password})
					if err != nil {
						want(t, err, fault.Forbidden, "Sign-up is closed")
						return
					}
					if id := in.identity(token); id.ID != user.ID || id.Role != user.Role {
						t.Errorf("signed in as %+v, registered as %+v", id.User, user)
					}
				})
			}
			close(start)
			wg.Wait()
			roles := map[account.Role]int{}
			users, err := in.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range users {
				roles[u.Role]++
			}
			if pending := 49 * int(policy); roles[account.Admin] != 1 || roles[account.Pending] != pending || len(users) != 1+pending {
				t.Errorf("roles %v", roles)
			}
		})
	}
}

func TestSignUpPolicy(t *testing.T) {
	in := open(t, account.Options{SignUp: account.NeedApproval, SetupToken: "set-up"})
	up := account.SignUp{Name: " Ann ", Email: " Ann@Example.COM ", Password: password}
	if r, err := in.Registration(t.Context()); err != nil || r != (account.Registration{SetupNeeded: true, SetupTokenRequired: true, Open: true}) {
		t.Errorf("before: %+v %v", r, err)
	}
	for _, token := range []string{"", "set-u", "set-up2"} {
		up.SetupToken = token
		_, _, err := in.SignUp(t.Context(), up)
		want(t, err, fault.Forbidden, "set-up link")
	}
	up.SetupToken = "set-up"
	ann, _, err := in.SignUp(t.Context(), up)
	if err != nil || ann.Role != account.Admin || ann.Email != "ann@example.com" || ann.Name != "Ann" || ann.CreatedAt != in.now() {
		t.Fatalf("%+v %v", ann, err)
	}
	if r, err := in.Registration(t.Context()); err != nil || r != (account.Registration{Open: true}) {
		t.Errorf("after: %+v %v", r, err)
	}
	_, _, err = in.SignUp(t.Context(), account.SignUp{Name: "Again", Email: "ANN@example.com", Password: password})
	want(t, err, fault.Conflict, "ann@example.com")
	bob, token, err := in.SignUp(t.Context(), account.SignUp{Name: "Bob", Email: "bob@example.com", Password: password})
	if err != nil || bob.Role != account.Pending {
		t.Fatalf("%+v %v", bob, err)
	}
	want(t, in.identity(token).Require(account.Member), fault.Forbidden, "waiting for approval")
	role := account.Member
	if _, err := in.Update(t.Context(), bob.ID, account.Changes{Role: &role}); err != nil {
		t.Fatal(err)
	}
	id := in.identity(token) // approval does not sign out
	if err := id.Require(account.Member); err != nil {
		t.Error(err)
	}
	want(t, id.Require(account.Admin), fault.Forbidden, "Only an admin")
}

func TestPendingPeopleAreBounded(t *testing.T) {
	in := open(t, account.Options{SignUp: account.NeedApproval})
	in.first()
	for i := range 200 {
		in.exec(`INSERT INTO users (id, email, name, role, password_hash, created_at) VALUES ($1, $1, $1, 'pending', '', 0)`, fmt.Sprint(i))
	}
	_, _, err := in.SignUp(t.Context(), account.SignUp{Name: "Bob", Email: "bob@example.com", Password: password})
	want(t, err, fault.Unavailable, "waiting for approval")
}

func TestInputIsChecked(t *testing.T) {
	in := open(t, account.Options{})
	good := account.NewUser{Name: "Żaneta O’Neil 李", Email: "zaneta@example.com", Password: "zażółć gę", Role: account.Member}
	for _, c := range []struct {
		name   string
		change func(*account.NewUser)
		says   string
	}{
		{"no name", func(u *account.NewUser) { u.Name = " " }, "1 to 100"},
		{"long name", func(u *account.NewUser) { u.Name = strings.Repeat("ż", 101) }, "1 to 100"},
		{"two lines", func(u *account.NewUser) { u.Name = "A\nB" }, "one line"},
		{"turned writing", func(u *account.NewUser) { u.Name = "A\u202eB" }, "one line"},
		{"bad bytes", func(u *account.NewUser) { u.Name = "A\xff" }, "one line"},
		{"no address", func(u *account.NewUser) { u.Email = "zaneta" }, "e-mail"},
		{"name in address", func(u *account.NewUser) { u.Email = "Z <z@example.com>" }, "e-mail"},
		{"two addresses", func(u *account.NewUser) { u.Email = "a@example.com, b@example.com" }, "e-mail"},
		{"long address", func(u *account.NewUser) { u.Email = strings.Repeat("a", 250) + "@b.com" }, "e-mail"},
		{"control in address", func(u *account.NewUser) { u.Email = "a\x00@b.com" }, "e-mail"},
		{"short password", func(u *account.NewUser) { u.Password = "żółćgęś" }, "at least 8"},
		{"long password", func(u *account.NewUser) { u.Password = strings.Repeat("a", 1025) }, "at most 1024"},
		{"role", func(u *account.NewUser) { u.Role = "root" }, "admin, user or pending"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := good
			c.change(&bad)
			_, err := in.Create(t.Context(), bad)
			want(t, err, fault.Invalid, c.says)
		})
	}
	user, err := in.Create(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := in.SignIn(t.Context(), "ZANETA@example.com ", good.Password, local()); err != nil {
		t.Error(err)
	}
	names, err := in.Names(t.Context(), []string{user.ID, "nobody"})
	if err != nil || len(names) != 1 || names[user.ID] != good.Name {
		t.Errorf("%v %v", names, err)
	}
	if names, err = in.Names(t.Context(), nil); err != nil || len(names) != 0 {
		t.Errorf("%v %v", names, err)
	}
}

func TestLastAdminStays(t *testing.T) {
	in := open(t, account.Options{})
	ann, _ := in.first()
	member, yes := account.Member, true
	for _, c := range []account.Changes{{Role: &member}, {Disabled: &yes}} {
		_, err := in.Update(t.Context(), ann.ID, c)
		want(t, err, fault.Conflict, "last active admin")
	}
	bob := in.add("bob", account.Admin)
	var wg sync.WaitGroup
	failed := make([]error, 2)
	for i, user := range []account.User{ann, bob} {
		wg.Go(func() { _, failed[i] = in.Update(context.Background(), user.ID, account.Changes{Disabled: &yes}) })
	}
	wg.Wait()
	if (failed[0] == nil) == (failed[1] == nil) {
		t.Errorf("both admins at once: %v", failed)
	}
	_, err := in.Update(t.Context(), "nobody", account.Changes{})
	want(t, err, fault.NotFound, "no such user")
}

func TestImportedBcryptIsRehashed(t *testing.T) {
	in := open(t, account.Options{})
	in.first()
	user := in.add("bob", account.Member)
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	in.exec(`UPDATE users SET password_hash = $1 WHERE id = $2`, string(hash), user.ID)
	_, _, err = in.SignIn(t.Context(), user.Email, password+strings.Repeat("x", 72), local())
	want(t, err, fault.Unauthenticated, "wrong")
	in.signIn(user)
	var stored string
	if err := in.db.Read(t.Context(), func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT password_hash FROM users WHERE id = $1`, []any{user.ID}, &stored)
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("stored %q", stored)
	}
	in.signIn(user)
}

// TestSecretsAreNotStored looks for passwords and tokens, in clear, in every file of the data folder.
func TestSecretsAreNotStored(t *testing.T) {
	in := open(t, account.Options{})
	ann, token := in.first()
	key, err := in.CreateAPIKey(t.Context(), ann.ID)
	if err != nil {
		t.Fatal(err)
	}
	in.identity(key)
	const second = "another long password"
	if err := in.ChangePassword(t.Context(), in.identity(token), password, second); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(in.dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%v %v", files, err)
	}
	found := false
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(data, []byte(ann.Email))
		for _, secret := range []string{password, second, token, key, strings.TrimPrefix(token, "mai_"), strings.TrimPrefix(key, "sk-")} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds %q", filepath.Base(file), secret)
			}
		}
	}
	if !found {
		t.Error("the search finds nothing at all")
	}
}
