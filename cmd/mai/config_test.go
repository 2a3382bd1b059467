package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// load parses command-line arguments and an environment as a command would.
func load(t *testing.T, args, environ []string) (Config, error) {
	t.Helper()
	fs := pflag.NewFlagSet("mai", pflag.ContinueOnError)
	addFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return loadConfig(fs, environ)
}

// recipient is an age public key, from the documentation of age.
const recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

func TestConfigDefaults(t *testing.T) {
	c, err := load(t, nil, []string{"PATH=/bin", "WEBUI_SECRET_KEY=ignored", "WEBUI_NAME=", "PORT= "})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range c.effective {
		if e.Source != fromDefault || e.From != "" || e.Allowed == "" {
			t.Errorf("%+v is not an untouched default", e)
		}
	}
	c.effective = nil
	want := Config{
		Addr: ":8080", DataDir: "data", Name: "mAI", Production: true, Locale: "en", LogLevel: slog.LevelInfo,
		BaseURL: "https://openrouter.ai/api/v1", SecretFile: "data/secret.key", MarkupBP: 13_000,
		TimeZone: time.UTC, DrainTimeout: time.Minute, MinFreeDisk: 200_000_000, BackupDir: "data/backups", BackupEvery: time.Hour,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// TestConfigValues gives each setting as a variable and, where it has one, as a
// flag: both must lead to the same configuration.
func TestConfigValues(t *testing.T) {
	tests := []struct {
		name, text string
		field      func(Config) any
		want       any
	}{
		{"MAI_ADDR", "127.0.0.1:0", func(c Config) any { return c.Addr }, "127.0.0.1:0"},
		{"MAI_ADDR", "[::1]:80", func(c Config) any { return c.Addr }, "[::1]:80"},
		{"MAI_ADDR", "9000", func(c Config) any { return c.Addr }, ":9000"},
		{"DATA_DIR", "/srv/mai/", func(c Config) any { return c.DataDir }, "/srv/mai"},
		{"DATA_DIR", "/srv/mai/", func(c Config) any { return c.SecretFile }, "/srv/mai/secret.key"},
		{"WEBUI_NAME", "mAI - Zażółć", func(c Config) any { return c.Name }, "mAI - Zażółć"},
		{"ENV", "dev", func(c Config) any { return c.Production }, false},
		{"ENABLE_SIGNUP", "True", func(c Config) any { return c.SignUp }, true},
		{"ENABLE_SIGNUP", "false", func(c Config) any { return c.SignUp }, false},
		{"MAI_SETUP_TOKEN", "one-time", func(c Config) any { return c.SetupToken }, "one-time"},
		{"DEFAULT_LOCALE", "pl-PL", func(c Config) any { return c.Locale }, "pl"},
		{"MAI_TIME_ZONE", "Europe/Warsaw", func(c Config) any { return c.TimeZone.String() }, "Europe/Warsaw"},
		{"MAI_TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.7,::1", func(c Config) any { return c.TrustedProxies }, []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("::1/128")}},
		{"OPENROUTER_BASE_URL", "http://127.0.0.1:9/api/v1/", func(c Config) any { return c.BaseURL }, "http://127.0.0.1:9/api/v1"},
		{"OPENROUTER_API_KEY", " sk-or-v1-1 ", func(c Config) any { return c.APIKey }, "sk-or-v1-1"},
		{"MAI_SECRET_FILE", "/run/secret", func(c Config) any { return c.SecretFile }, "/run/secret"},
		{"MAI_MARKUP", "1", func(c Config) any { return c.MarkupBP }, int64(10_000)},
		{"MAI_MARKUP", "1.2345", func(c Config) any { return c.MarkupBP }, int64(12_345)},
		{"MAI_MARKUP", "10.0", func(c Config) any { return c.MarkupBP }, int64(100_000)},
		{"MAI_BACKUP_DIR", "/srv/backups/", func(c Config) any { return c.BackupDir }, "/srv/backups"},
		{"DATA_DIR", "/srv/mai", func(c Config) any { return c.BackupDir }, "/srv/mai/backups"},
		{"MAI_BACKUP_EVERY", "24h", func(c Config) any { return c.BackupEvery }, 24 * time.Hour},
		{"MAI_BACKUP_EVERY", "0s", func(c Config) any { return c.BackupEvery }, time.Duration(0)},
		{"MAI_BACKUP_RECIPIENTS", recipient + ", " + recipient, func(c Config) any { return c.Recipients }, []string{recipient, recipient}},
		{"MAI_BACKUP_PROVIDER", recipient, func(c Config) any { return c.ProviderRecipient }, recipient},
		{"LOG_LEVEL", "WARN", func(c Config) any { return c.LogLevel }, slog.LevelWarn},
		{"MAI_DRAIN_TIMEOUT", "1m30s", func(c Config) any { return c.DrainTimeout }, 90 * time.Second},
		{"MAI_MIN_FREE_DISK", "0", func(c Config) any { return c.MinFreeDisk }, int64(0)},
		{"MAI_MIN_FREE_DISK", "2 GiB", func(c Config) any { return c.MinFreeDisk }, int64(2 << 30)},
		{"MAI_CRASH_AT", "settle:3", func(c Config) any { return []any{c.CrashAt, c.CrashHit} }, []any{"settle", 3}},
		{"MAI_CRASH_AT", "settle", func(c Config) any { return []any{c.CrashAt, c.CrashHit} }, []any{"settle", 1}},
		{"MAI_CLOCK_FILE", "/tmp/ahead", func(c Config) any { return c.ClockFile }, "/tmp/ahead"},
		{"MAI_LIMITS_OVER", "100", func(c Config) any { return c.LimitsOver }, int64(100)},
	}
	for _, tt := range tests {
		t.Run(tt.name+"="+tt.text, func(t *testing.T) {
			c, err := load(t, nil, []string{tt.name + "=" + tt.text})
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.field(c); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("variable: got %v, want %v", got, tt.want)
			}
			if got := c.sourceOf(tt.name); got != fromEnvironment {
				t.Errorf("source is %s", got)
			}
			flag := find(t, tt.name).flag
			if flag == "" {
				return
			}
			c, err = load(t, []string{"--" + flag + "=" + tt.text}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.field(c); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("flag: got %v, want %v", got, tt.want)
			}
			if got := c.sourceOf(tt.name); got != fromFlag {
				t.Errorf("source is %s", got)
			}
		})
	}
}

func TestConfigPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte("sk-or-v1-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name          string
		args, environ []string
		setting       string
		want, from    string
		source        source
	}{
		{"flag over variable", []string{"--addr", ":1"}, []string{"MAI_ADDR=:2", "PORT=3"}, "MAI_ADDR", ":1", "--addr", fromFlag},
		{"own name over PORT", nil, []string{"PORT=3", "MAI_ADDR=:2"}, "MAI_ADDR", ":2", "MAI_ADDR", fromEnvironment},
		{"PORT alone", nil, []string{"PORT=3"}, "MAI_ADDR", ":3", "PORT", fromEnvironment},
		{"empty variable is unset", nil, []string{"MAI_ADDR=", "PORT=3"}, "MAI_ADDR", ":3", "PORT", fromEnvironment},
		{"OpenRouter's name over OpenAI's", nil, []string{"OPENAI_API_BASE_URL=http://a", "OPENROUTER_BASE_URL=http://b"},
			"OPENROUTER_BASE_URL", "http://b", "OPENROUTER_BASE_URL", fromEnvironment},
		{"OpenAI's name alone", nil, []string{"OPENAI_API_BASE_URL=http://a"}, "OPENROUTER_BASE_URL", "http://a", "OPENAI_API_BASE_URL", fromEnvironment},
		{"file over variable", nil, []string{"OPENAI_API_KEY=sk-a", "OPENROUTER_API_KEY_FILE=" + file}, "OPENROUTER_API_KEY", "set", file, fromFile},
		{"a flag without a value", []string{"--enable-signup"}, nil, "ENABLE_SIGNUP", "true", "--enable-signup", fromFlag},
		{"an empty flag takes a setting back", []string{"--openrouter-api-key-file="}, []string{"OPENROUTER_API_KEY_FILE=/nowhere"},
			"OPENROUTER_API_KEY_FILE", "", "--openrouter-api-key-file", fromFlag},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(t, tt.args, tt.environ)
			if err != nil {
				t.Fatal(err)
			}
			got := *c.find(tt.setting)
			if got.Value != tt.want || got.Source != tt.source || got.From != tt.from {
				t.Errorf("got %+v", got)
			}
		})
	}
	c, err := load(t, nil, []string{"OPENROUTER_API_KEY=sk-a", "OPENAI_API_KEY=sk-b", "OPENROUTER_API_KEY_FILE=" + file})
	if err != nil || c.APIKey != "sk-or-v1-file" || c.APIKeyFile != file {
		t.Errorf("%q from %q, %v", c.APIKey, c.APIKeyFile, err)
	}
}

func TestConfigRefuses(t *testing.T) {
	dir := t.TempDir()
	twoKeys := filepath.Join(dir, "two")
	if err := os.WriteFile(twoKeys, []byte("sk-secret-1 sk-secret-2"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ variable, want string }{
		{"MAI_ADDR=host", `MAI_ADDR is "host"; allowed is host:port, :port or a port from 0 to 65535`},
		{"PORT=70000", `PORT is "70000"; allowed is`},
		{"PORT=-1", `PORT is "-1"; allowed is`},
		{"MAI_ADDR=127.0.0.1:http", `MAI_ADDR is "127.0.0.1:http"`},
		{"WEBUI_NAME=a\nb", `WEBUI_NAME is "a\nb"; allowed is 1 to 80 characters`},
		{"WEBUI_NAME=" + strings.Repeat("x", 81), "WEBUI_NAME is"},
		{"ENV=production", `ENV is "production"; allowed is dev or prod`},
		{"ENABLE_SIGNUP=maybe", `ENABLE_SIGNUP is "maybe"; allowed is true or false`},
		{"DEFAULT_LOCALE=de", `DEFAULT_LOCALE is "de"; allowed is en or pl`},
		{"MAI_TIME_ZONE=Mars/Olympus", `MAI_TIME_ZONE is "Mars/Olympus"; allowed is a time zone`},
		{"MAI_TIME_ZONE=Local", `MAI_TIME_ZONE is "Local"`},
		{"MAI_TRUSTED_PROXIES=10.0.0.0/8,x", `MAI_TRUSTED_PROXIES is "10.0.0.0/8,x"; allowed is`},
		{"MAI_TRUSTED_PROXIES=10.0.0.0/8,", `MAI_TRUSTED_PROXIES is`},
		{"OPENROUTER_BASE_URL=openrouter.ai/api/v1", `OPENROUTER_BASE_URL is "openrouter.ai/api/v1"; allowed is an http or https`},
		{"OPENROUTER_BASE_URL=https://", `OPENROUTER_BASE_URL is`},
		{"OPENROUTER_BASE_URL=ftp://x", `OPENROUTER_BASE_URL is`},
		{"OPENROUTER_BASE_URL=https://:443", `OPENROUTER_BASE_URL is`},
		{"OPENAI_API_BASE_URL=https://me:secret@x/", `OPENAI_API_BASE_URL is (hidden); allowed`},
		{"OPENROUTER_BASE_URL=sk-or-v1-secret", `OPENROUTER_BASE_URL is (hidden); allowed`},
		{"OPENROUTER_API_KEY=sk-secret sk-secret", `OPENROUTER_API_KEY is (hidden); allowed is one key without a space`},
		{"OPENROUTER_API_KEY_FILE=" + dir + "/none", `OPENROUTER_API_KEY_FILE cannot be read: open ` + dir + `/none`},
		{"OPENROUTER_API_KEY_FILE=" + twoKeys, `which holds no single word`},
		{"MAI_SETUP_TOKEN=secret word", `MAI_SETUP_TOKEN is (hidden); allowed is`},
		{"MAI_MARKUP=0.9", `MAI_MARKUP is "0.9"; allowed is a number from 1 to 10`},
		{"MAI_MARKUP=13", `MAI_MARKUP is "13"`},
		{"MAI_MARKUP=1.23456", `MAI_MARKUP is "1.23456"`},
		{"MAI_MARKUP=1.", `MAI_MARKUP is "1."`},
		{"MAI_MARKUP=.5", `MAI_MARKUP is ".5"`},
		{"MAI_MARKUP=1,3", `MAI_MARKUP is "1,3"`},
		{"MAI_MARKUP=1e1", `MAI_MARKUP is "1e1"`},
		{"LOG_LEVEL=loud", `LOG_LEVEL is "loud"; allowed is debug, info, warn or error`},
		{"LOG_LEVEL=info+1", `LOG_LEVEL is "info+1"`},
		{"MAI_DRAIN_TIMEOUT=60", `MAI_DRAIN_TIMEOUT is "60"; allowed is a duration`},
		{"MAI_DRAIN_TIMEOUT=-1s", `MAI_DRAIN_TIMEOUT is "-1s"`},
		{"MAI_DRAIN_TIMEOUT=1h", `MAI_DRAIN_TIMEOUT is "1h"`},
		{"MAI_MIN_FREE_DISK=some", `MAI_MIN_FREE_DISK is "some"; allowed is`},
		{"MAI_MIN_FREE_DISK=1.5GB", `MAI_MIN_FREE_DISK is "1.5GB"`},
		{"MAI_MIN_FREE_DISK=9999999999GB", `MAI_MIN_FREE_DISK is`},
		{"MAI_CRASH_AT=settle:0", `MAI_CRASH_AT is "settle:0"`},
		{"MAI_CRASH_AT=:1", `MAI_CRASH_AT is ":1"`},
		{"MAI_LIMITS_OVER=0", `MAI_LIMITS_OVER is "0"`},
		{"MAI_LIMITS_OVER=fast", `MAI_LIMITS_OVER is "fast"`},
		{"MAI_ADR=:1", "MAI_ADR is not a setting; did you mean MAI_ADDR?"},
		{"MAI_MARKUP_BP=13000", "did you mean MAI_MARKUP?"},
		{"MAI_DATA_DIR=x", "did you mean DATA_DIR?"},
		{"MAI_OPENROUTER_KEY=sk-secret", "MAI_OPENROUTER_KEY is not a setting; did you mean OPENROUTER_API_KEY?"},
		{"MAI_=1", "MAI_ is not a setting"},
	}
	for _, tt := range tests {
		t.Run(tt.variable, func(t *testing.T) {
			_, err := load(t, nil, []string{tt.variable})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := load(t, []string{"--markup=free"}, []string{"PORT=x", "ENV=y", "MAI_NAME=z"})
	for _, want := range []string{`--markup is "free"`, "PORT is", "ENV is", "MAI_NAME is not a setting"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}

func TestConfigFlagsOfOneCommand(t *testing.T) {
	fs := pflag.NewFlagSet("ledger", pflag.ContinueOnError)
	addFlags(fs, "data")
	if err := fs.Parse([]string{"--data", "/srv"}); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(fs, []string{"DATA_DIR=/other", "PORT=81"})
	if err != nil || c.DataDir != "/srv" || c.Addr != ":81" || fs.Lookup("addr") != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestConfigTable(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range settings() {
		for _, name := range append(slices.Clone(s.env), "--"+s.flag) {
			if seen[name] && name != "--" {
				t.Errorf("%s stands twice", name)
			}
			seen[name] = true
		}
		if s.allowed == "" || s.usage == "" && !s.hidden {
			t.Errorf("%s is not explained", s.env[0])
		}
		if s.secret && s.flag != "" {
			t.Errorf("%s is a secret with a flag: arguments are visible to every process", s.env[0])
		}
	}
	for _, name := range []string{"WEBUI_NAME", "ENABLE_SIGNUP", "ENV", "DATA_DIR", "PORT", "OPENAI_API_BASE_URL", "OPENAI_API_KEY",
		"OPENROUTER_API_KEY", "OPENROUTER_API_KEY_FILE", "OPENROUTER_BASE_URL", "DEFAULT_LOCALE", "LOG_LEVEL"} {
		if !seen[name] {
			t.Errorf("%s does not work", name)
		}
	}
}

func TestPrintConfig(t *testing.T) {
	c, err := load(t, []string{"--data=/srv"}, []string{"OPENAI_API_KEY=sk-secret", "MAI_SETUP_TOKEN=token-secret", "PORT=81"})
	if err != nil {
		t.Fatal(err)
	}
	var table, list bytes.Buffer
	if err := printConfig(&table, c, false); err != nil {
		t.Fatal(err)
	}
	if err := printConfig(&list, c, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"environment (PORT)", "flag (--data)", "environment (OPENAI_API_KEY)", "/srv/secret.key"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %q in the table", want)
		}
	}
	for _, text := range []string{table.String(), list.String()} {
		if strings.Contains(text, "-secret") || strings.Contains(text, "MAI_CRASH_AT") {
			t.Errorf("shows what it must not:\n%s", text)
		}
	}
	listed := slices.DeleteFunc(settings(), func(s setting) bool { return s.hidden })
	var got []effective
	if err := json.Unmarshal(list.Bytes(), &got); err != nil || len(got) != len(listed) {
		t.Fatalf("%d settings, %v", len(got), err)
	}
	i := slices.IndexFunc(got, func(e effective) bool { return e.Name == "OPENROUTER_API_KEY" })
	if got[i].Value != "set" || got[i].Source != fromEnvironment || got[i].From != "OPENAI_API_KEY" {
		t.Errorf("%+v", got[i])
	}
}

// find returns the line of the table for a name.
func find(t *testing.T, name string) setting {
	t.Helper()
	all := settings()
	i := slices.IndexFunc(all, func(s setting) bool { return s.env[0] == name })
	if i < 0 {
		t.Fatalf("%s is not a setting", name)
	}
	return all[i]
}

// TestDemoStaysHere has a demo, whose password everybody knows, listen beyond this machine only when it is told an address.
func TestDemoStaysHere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ, args []string
		want          string
	}{
		{nil, nil, "127.0.0.1:8080"},
		{[]string{"PORT=8081"}, nil, "127.0.0.1:8081"},
		{[]string{"MAI_ADDR=:8081"}, nil, ":8081"},
		{nil, []string{"--addr", ":8081"}, ":8081"},
	} {
		config, err := load(t, c.args, c.environ)
		config.stayHere()
		if err != nil || config.Addr != c.want {
			t.Errorf("%v %v: %s, want %s, %v", c.environ, c.args, config.Addr, c.want, err)
		}
	}
}
