package mai

import (
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// polish is where every sentence of the server stands in Polish: a line of English, as the code has it, and below it,
// after a tab, a line of Polish, with {1} for the first argument. internal/webapp/language.go says what else it may hold.
const polish = "internal/webapp/polish.txt"

// TestEverySentenceIsInPolish compares the formats of all sentences for people with the Polish catalogue.
func TestEverySentenceIsInPolish(t *testing.T) {
	text, err := os.ReadFile(polish)
	if err != nil {
		t.Fatal(err)
	}
	catalogue := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		said, ok := strings.CutPrefix(lines[i+1], "\t")
		if _, twice := catalogue[lines[i]]; !ok || twice || strings.HasPrefix(lines[i], "\t") {
			t.Fatalf("%s:%d: not one English line with one Polish line below it, after a tab", polish, i+1)
		}
		catalogue[lines[i]] = said
	}
	used := map[string]bool{}
	for _, src := range sources(t) {
		// What only maictl uses speaks to the provider, in a terminal, in English.
		provider := []string{"internal/deploy", "internal/fleet", "internal/remote"}
		if src.pkg == "internal/fault" || slices.Contains(provider, src.pkg) || !strings.HasPrefix(src.pkg, "internal/") {
			continue
		}
		ast.Inspect(src.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if arg := formatOf(call); arg != nil {
					if problem := untranslated(arg, len(call.Args)-slices.Index(call.Args, arg)-1, catalogue, used); problem != "" {
						t.Errorf("%s:%d: %s", src.name, src.line(call.Pos()), problem)
					}
				}
			}
			return true
		})
	}
	general := "Something went wrong on the server. The operator's log has the details." // of fault.Of
	used[general] = true
	if catalogue[general] == "" {
		t.Errorf("%s lacks: %s", polish, general)
	}
	for english := range catalogue {
		if !used[english] {
			t.Errorf("%s has a sentence that is not in the code: %s", polish, english)
		}
	}
	t.Logf("%d sentences", len(used))
}

// formatOf returns the argument of a call that is the format of a sentence for a person, or nil.
func formatOf(call *ast.CallExpr) ast.Expr {
	at := map[string]int{"fault.New": 1, "fault.Wrap": 2, "fault.Say": 0}
	i, ok := at[selected(call.Fun)]
	if method, is := call.Fun.(*ast.SelectorExpr); is && method.Sel.Name == "ForAdmin" {
		i, ok = 0, true
	}
	if !ok || i >= len(call.Args) {
		return nil
	}
	return call.Args[i]
}

// untranslated says what is missing for the format to be said in Polish, or "".
func untranslated(format ast.Expr, args int, catalogue map[string]string, used map[string]bool) string {
	literal, ok := format.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "the sentence is not a constant text in the call, so it cannot be translated"
	}
	english, err := strconv.Unquote(literal.Value)
	if err != nil {
		return err.Error()
	}
	used[english] = true
	said := catalogue[english]
	if said == "" {
		return polish + " has no Polish for: " + english
	}
	if verbs := len(regexp.MustCompile(`%[a-z]`).FindAllString(english, -1)); verbs != strings.Count(english, "%") || verbs != args {
		return "use plain verbs such as %s, one for each argument: " + english
	}
	var named []int
	for _, match := range regexp.MustCompile(`\{(\d)(:[^}]*)?\}`).FindAllStringSubmatch(said, -1) {
		n, _ := strconv.Atoi(match[1])
		named = append(named, n)
	}
	slices.Sort(named)
	named = slices.Compact(named)
	if len(named) != args || args > 0 && (named[0] != 1 || named[len(named)-1] != args) {
		return "the Polish sentence does not use the " + strconv.Itoa(args) + " arguments of: " + english
	}
	return ""
}
