package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"mai/internal/money"
	"mai/internal/openrouter/sim"
	"mai/internal/sqldb"
	"mai/internal/summary"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	code, out, _ := run(t, nil, "version", "--json")
	var v map[string]string
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || v["version"] == "" || v["go"] == "" {
		t.Errorf("%d %s: %v", code, out, err)
	}
}

// TestRefusals makes sure that what cannot work is refused at once, in words that say what to do.
func TestRefusals(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for _, c := range []struct {
		name string
		env  []string
		args []string
		says []string
	}{
		{"unknown variable", []string{"MAI_MARKUPP=1.3"}, []string{"serve", "--data", empty}, []string{"MAI_MARKUPP", "MAI_MARKUP?"}},
		{"wrong value", []string{"PORT=eighty"}, []string{"serve", "--data", empty}, []string{"PORT", "eighty", "host:port"}},
		{"unknown crash point", []string{"MAI_CRASH_AT=never"}, []string{"serve", "--data", empty, "--addr", "127.0.0.1:0"}, []string{"never", "stream.first"}},
		{"no such command", nil, []string{"server"}, []string{"server", "serve"}},
		{"no such flag", nil, []string{"serve", "--databse", empty}, []string{"--databse"}},
		{"too many words", nil, []string{"serve", "now"}, []string{"now"}},
		{"no ledger to export", nil, []string{"ledger", "export", "--data", empty}, []string{"no database", empty, "--data"}},
		{"no ledger to verify", nil, []string{"ledger", "verify", "--data", empty}, []string{"no database", empty}},
		{"nobody to be healthy", nil, []string{"health", "--addr", "127.0.0.1:1"}, []string{"No mai answers"}},
		{"no token file", []string{"MAI_PROVIDER_TOKEN_FILE=/nowhere"}, []string{"serve", "--data", empty}, []string{"MAI_PROVIDER_TOKEN_FILE"}},
		{"no key file", []string{"OPENROUTER_API_KEY_FILE=/nowhere"}, []string{"serve", "--data", empty}, []string{"OPENROUTER_API_KEY_FILE"}},
		{"no such command of the ledger", nil, []string{"ledger", "verfy"}, []string{"mai ledger verfy", "mai ledger --help"}},
		{"nothing to restore", nil, []string{"restore", "--to", empty}, []string{"Name one backup", "mai restore FILE"}},
		{"a demo of no days", nil, []string{"demo", "--days", "0"}, []string{"--days is 0", "1 to 150"}},
		{"a demo of more days than the company has", nil, []string{"demo", "--days", "151"}, []string{"1 to 150"}},
		{"an empty demo of some days", nil, []string{"demo", "--empty", "--days", "5"}, []string{"--empty", "--days"}},
		{"a setting that a demo has not", nil, []string{"demo", "--backup-dir", empty}, []string{"--backup-dir"}},
		{"address in use", nil, []string{"serve", "--data", t.TempDir(), "--addr", taken(t)}, []string{"--addr 127.0.0.1:0", "PORT="}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := run(t, c.env, c.args...)
			if code != 1 || !strings.HasPrefix(errs, "mai: ") && !strings.Contains(errs, "\nmai: ") {
				t.Errorf("exit %d: %s%s", code, out, errs)
			}
			for _, word := range c.says {
				if !strings.Contains(errs, word) {
					t.Errorf("it does not say %q: %s", word, errs)
				}
			}
		})
	}
}

// taken is an address that somebody else listens on.
func taken(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// TestConfigHidesSecrets prints every setting, also in errors, and never a secret.
func TestConfigHidesSecrets(t *testing.T) {
	t.Parallel()
	const key, token = "sk-or-v1-planted0123456789", "planted-setup-token"
	env := []string{"OPENAI_API_KEY=" + key, "MAI_SETUP_TOKEN=" + token, "MAI_MARKUP=1.25"}
	for _, args := range [][]string{{"config", "--json"}, {"config"}} {
		code, out, errs := run(t, env, args...)
		if code != 0 || !strings.Contains(out, "1.25") || strings.Contains(out+errs, "planted") {
			t.Errorf("%v: %d %s%s", args, code, out, errs)
		}
	}
	_, out, _ := run(t, env, "config", "--json")
	var listed []effective
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed) < 15 {
		t.Errorf("%v: %s", err, out)
	}
	if last := listed[len(listed)-1]; last.Name != "data policy in force" || last.Value != "no training" || last.Source != fromDefault {
		t.Errorf("the policy is %+v", last)
	}
	if code, out, errs := run(t, append(env, "PORT="+key), "config"); code != 1 || strings.Contains(out+errs, "planted") {
		t.Errorf("%d %s%s", code, out, errs)
	}
}

// lines decodes a JSON object a line.
func lines[T any](t *testing.T, text string) (list []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list = append(list, v)
	}
	return list
}

// exported is what checks rely on.
type exported struct {
	IntentID     string  `json:"intent_id"`
	GenerationID *string `json:"generation_id"`
	State        string  `json:"state"`
	Cost         *string `json:"cost"`
	Charge       *string `json:"charge"`
	AtMostCost   string  `json:"at_most_cost"`
}

// rebuildAndVerify damages a roll-up and has it mended, by the server when one runs there.
func rebuildAndVerify(t *testing.T, dir string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), dir, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE rollups SET prompt = prompt + 1, charge = charge - 1 WHERE at = (SELECT MIN(at) FROM rollups WHERE settled > 0)`)
		return err
	}), db.Close())
	if err != nil {
		t.Fatal(err)
	}
	if code, _, errs := run(t, nil, "ledger", "verify", "--data", dir); code != 1 || !strings.Contains(errs, "roll-up") {
		t.Errorf("a wrong roll-up: exit %d, %s", code, errs)
	}
	if code, out, errs := run(t, nil, "ledger", "rebuild", "--data", dir); code != 0 || !strings.Contains(out, "made anew") {
		t.Errorf("rebuild: exit %d, %s%s", code, out, errs)
	}
	if code, _, errs := run(t, nil, "ledger", "verify", "--data", dir); code != 0 {
		t.Errorf("after the rebuild: exit %d, %s", code, errs)
	}
}

// TestLedgerCommands exports and verifies beside a running server, offline, and after somebody changed an entry.
func TestLedgerCommands(t *testing.T) {
	t.Parallel()
	s, upstream := simulator(t, sim.Options{})
	dir := t.TempDir()
	p := serveOn(t, dir, upstream)
	token := p.register()
	for directive, status := range map[string]int{`{"tokens":4}`: 200, `{"cost":"1.23e-7"}`: 200, `{"tokens":0,"cost":"0"}`: 200, `{"fault":"status:400"}`: 502,
		`{"fault":"drop_mid","generation_404_ms":-1}`: 502, `{"fault":"drop_before_headers"}`: 502} {
		if got, text := p.call("POST", "/v1/chat/completions", token, completion(false, directive)); got != status {
			t.Errorf("%s: %d %s", directive, got, text)
		}
	}
	code, beside, errs := run(t, nil, "ledger", "export", "--json", "--data", dir)
	if code != 0 || errs != "" {
		t.Fatalf("%d %s", code, errs)
	}
	checkExport(t, lines[exported](t, beside), s)
	if code, out, errs := run(t, nil, "ledger", "verify", "--data", dir); code != 0 || !strings.Contains(out, "3 entries, 6 calls") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	rebuildAndVerify(t, dir)
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d: %s", code, p.stderr)
	}
	rebuildAndVerify(t, dir)
	_, offline, _ := run(t, nil, "ledger", "export", "--json", "--data", dir)
	if offline != beside {
		t.Errorf("offline %s\nbeside  %s", offline, beside)
	}
	_, out, _ := run(t, nil, "ledger", "export", "--entries", "--data", dir)
	before := ""
	for i, e := range lines[struct {
		Seq                int
		Prev               string `json:"prev_hash"`
		Hash, Cost, Charge string
	}](t, out) {
		if e.Seq != i+1 || e.Prev != before || len(e.Hash) != 64 || e.Cost == "" || e.Charge == "" {
			t.Errorf("%+v", e)
		}
		before = e.Hash
	}
	if code, out, _ := run(t, nil, "ledger", "verify", "--json", "--data", dir); code != 0 || !strings.Contains(out, before) {
		t.Errorf("%d %s", code, out)
	}
	var told summary.Summary
	if code, out, errs := run(t, nil, "usage", "--json", "--data", dir); code != 0 || json.Unmarshal([]byte(out), &told) != nil {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if told.Ledger.Seq != 3 || told.Ledger.Hash != before || told.Spend.Requests != 5 || told.Spend.Cost != told.Ledger.Cost || len(told.States) != 2 || told.Users != 1 {
		t.Errorf("%+v", told)
	}
	if code, out, errs := run(t, nil, "usage", "--data", dir); code != 0 || !strings.Contains(out, before) || !strings.Contains(out, "1 requests are unknown") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if _, out, _ := run(t, nil, "ledger", "export", "--data", dir); strings.Count(out, "\n") != 7 || !strings.Contains(out, "0.000000123") {
		t.Errorf("%s", out)
	}
	tamper(t, dir)
	if code, _, errs := run(t, nil, "ledger", "verify", "--data", dir); code != 1 || !strings.Contains(errs, "entry 2 was changed") || !strings.Contains(errs, "Keep a copy") {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, errs := run(t, nil, "serve", "--addr", "127.0.0.1:0", "--data", dir); code != 1 || !strings.Contains(errs, "ledger is damaged") || !strings.Contains(errs, "restore") {
		t.Errorf("%d %s", code, errs)
	}
}

// checkExport compares the lines with the simulator's bill.
func checkExport(t *testing.T, list []exported, s *sim.Server) {
	t.Helper()
	bill := map[string]string{}
	for _, line := range s.Bill() {
		bill[line.ID] = line.Cost
	}
	states := map[string]int{}
	for _, in := range list {
		states[in.State]++
		if in.IntentID == "" || in.AtMostCost == "" {
			t.Errorf("%+v", in)
		}
		known := in.State == "settled" || in.State == "free"
		if known != (in.Cost != nil) || known != (in.Charge != nil) || in.State == "free" && *in.Cost != "0" {
			t.Errorf("%+v", in)
		}
		if in.State != "settled" {
			continue
		}
		cost, err := money.Parse(bill[*in.GenerationID])
		if err != nil || cost.String() != *in.Cost {
			t.Errorf("%+v, billed %s: %v", in, cost, err)
		}
		if charge, err := money.Markup(13000).Charge(cost); err != nil || charge.String() != *in.Charge {
			t.Errorf("%+v, charge %s: %v", in, charge, err)
		}
	}
	if states["settled"] != 3 || states["free"] != 1 || states["pending"] != 1 || states["unknown"] != 1 {
		t.Errorf("%v", states)
	}
}

// tamper changes an entry as somebody with the file could.
func tamper(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, sqldb.File))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{`DROP TRIGGER entries_no_update`, `UPDATE entries SET cost = cost + 1 WHERE seq = 2`} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}
