package main

import (
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the image has no zone files
	"unicode"
	"unicode/utf8"

	"filippo.io/age"

	"mai/internal/money"
)

// Each function here parses the text of one setting into the configuration and
// returns it in canonical form, or false when the text is not allowed.

func setAddr(c *Config, s string) (string, bool) {
	if !strings.Contains(s, ":") {
		s = ":" + s
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsFunc(host, unicode.IsSpace) {
		return "", false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", false
	}
	c.Addr = s
	return s, true
}

func setName(c *Config, s string) (string, bool) {
	c.Name = s
	n := utf8.RuneCountInString(s)
	return s, utf8.ValidString(s) && n >= 1 && n <= 80 && !strings.ContainsFunc(s, unicode.IsControl)
}

func setSignUp(c *Config, s string) (string, bool) {
	switch strings.ToLower(s) {
	case "true", "1", "yes", "on":
		c.SignUp = true
	case "false", "0", "no", "off":
		c.SignUp = false
	default:
		return "", false
	}
	return strconv.FormatBool(c.SignUp), true
}

// setLocale also takes a region, as in pl-PL, which other programs ask for.
func setLocale(c *Config, s string) (string, bool) {
	language, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(s), "_", "-"), "-")
	c.Locale = language
	return language, language == "en" || language == "pl"
}

func setTimeZone(c *Config, s string) (string, bool) {
	zone, err := time.LoadLocation(s)
	// "Local" and "" would depend on the machine.
	if err != nil || s == "Local" || s == "" {
		return "", false
	}
	c.TimeZone = zone
	return s, true
}

func setTrustedProxies(c *Config, s string) (string, bool) {
	var networks []netip.Prefix
	var canonical []string
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		network, err := netip.ParsePrefix(part)
		if err != nil {
			addr, err := netip.ParseAddr(part)
			if err != nil || addr.Zone() != "" {
				return "", false
			}
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		networks = append(networks, network.Masked())
		canonical = append(canonical, network.Masked().String())
	}
	c.TrustedProxies = networks
	return strings.Join(canonical, ","), true
}

func setBaseURL(c *Config, s string) (string, bool) {
	s = strings.TrimRight(s, "/")
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", false
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", false
	}
	c.BaseURL = s
	return s, true
}

func setBackupEvery(c *Config, s string) (string, bool) {
	d, err := time.ParseDuration(s)
	c.BackupEvery = d
	return d.String(), err == nil && (d == 0 || d >= time.Minute && d <= 7*24*time.Hour)
}

func setRecipients(c *Config, s string) (string, bool) {
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if _, err := age.ParseX25519Recipient(part); err != nil {
			return "", false
		}
		c.Recipients = append(c.Recipients, part)
	}
	return strings.Join(c.Recipients, ","), true
}

func setMarkup(c *Config, s string) (string, bool) {
	markup, err := money.ParseMarkup(s)
	c.MarkupBP = int64(markup)
	return s, err == nil
}

func setLogLevel(c *Config, s string) (string, bool) {
	s = strings.ToLower(s)
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, s) {
		return "", false
	}
	return s, c.LogLevel.UnmarshalText([]byte(s)) == nil
}

func setDrainTimeout(c *Config, s string) (string, bool) {
	d, err := time.ParseDuration(s)
	c.DrainTimeout = d
	return d.String(), err == nil && d >= 0 && d <= 10*time.Minute
}

func setMinFreeDisk(c *Config, s string) (string, bool) {
	digits := strings.TrimRightFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	unit, known := map[string]int64{
		"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30,
	}[strings.ToUpper(strings.TrimSpace(s[len(digits):]))]
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || !known || int64(n) > math.MaxInt64/unit {
		return "", false
	}
	c.MinFreeDisk = int64(n) * unit
	return s, true
}

func setCrashAt(c *Config, s string) (string, bool) {
	point, hit, counted := strings.Cut(s, ":")
	n := uint64(1)
	if counted {
		var err error
		if n, err = strconv.ParseUint(hit, 10, 31); err != nil || n == 0 {
			return "", false
		}
	}
	c.CrashAt, c.CrashHit = point, int(n)
	return s, point != ""
}

func setLimitsOver(c *Config, s string) (string, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	c.LimitsOver = n
	return s, err == nil && n >= 1 && n <= 10_000
}

// oneWord says whether s is a single run of printable ASCII, as keys are.
func oneWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// nearest returns the name that a person most likely meant. The MAI_ prefix
// does not count, so that MAI_DATA_DIR leads to DATA_DIR.
func nearest(name string, names []string) string {
	bare := strings.TrimPrefix(name, "MAI_")
	return slices.MinFunc(names, func(a, b string) int {
		return distance(bare, strings.TrimPrefix(a, "MAI_")) - distance(bare, strings.TrimPrefix(b, "MAI_"))
	})
}

// distance is Levenshtein's: how many letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
