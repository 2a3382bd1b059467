package mai

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// The limits that keep the code readable in one sitting. The 95th percentile
// leaves room for the odd long one, the maximum does not.
const (
	fileP95, fileMax = 400, 600
	funcP95, funcMax = 45, 90
)

// moneyPath are the packages in which no float may exist: a float cannot hold
// money exactly, not even on its way.
var moneyPath = []string{"internal/money", "internal/ledger", "internal/meter"}

// mayChange are the package variables that are neither errors nor constants in
// spirit, each with its reason.
var mayChange = map[string]string{
	"cmd/mai.version":    "set by the linker",
	"cmd/maictl.version": "set by the linker",
}

func TestSizes(t *testing.T) {
	var files, funcs []int
	for _, src := range sources(t) {
		files = append(files, src.lines)
		if src.lines > fileMax {
			t.Errorf("%s has %d lines, at most %d", src.name, src.lines, fileMax)
		}
		for _, decl := range src.file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := src.line(fn.End()) - src.line(fn.Pos()) + 1
			funcs = append(funcs, n)
			if n > funcMax {
				t.Errorf("%s: %s has %d lines, at most %d", src.name, fn.Name, n, funcMax)
			}
		}
	}
	check := func(what string, sizes []int, limit int) {
		slices.Sort(sizes)
		p95 := sizes[(len(sizes)*95+99)/100-1]
		t.Logf("%d %s: median %d, p95 %d, longest %d lines", len(sizes), what, sizes[len(sizes)/2], p95, sizes[len(sizes)-1])
		if p95 > limit {
			t.Errorf("95 %% of %s have up to %d lines, at most %d", what, p95, limit)
		}
	}
	check("files", files, fileP95)
	check("functions", funcs, funcP95)
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, src := range sources(t) {
		report := func(name *ast.Ident) {
			t.Errorf("%s:%d: %s has no comment", src.name, src.line(name.Pos()), name)
		}
		for _, decl := range src.file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Doc == nil && decl.Name.IsExported() && exportedReceiver(decl) {
					report(decl.Name)
				}
			case *ast.GenDecl:
				for _, name := range undocumented(decl) {
					report(name)
				}
			}
		}
	}
}

// exportedReceiver says whether a method can be reached from another package by
// its receiver's name; a plain function always can.
func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	exported := true
	ast.Inspect(fn.Recv.List[0].Type, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok && exported {
			exported = name.IsExported()
			return false
		}
		return true
	})
	return exported
}

// undocumented returns the exported types, constants and variables of one
// declaration that no comment explains, be it their own, the group's or the line's.
func undocumented(decl *ast.GenDecl) []*ast.Ident {
	var names []*ast.Ident
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if decl.Doc == nil && spec.Doc == nil {
				names = append(names, spec.Name)
			}
		case *ast.ValueSpec:
			if decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				names = append(names, spec.Names...)
			}
		}
	}
	return slices.DeleteFunc(names, func(name *ast.Ident) bool { return !name.IsExported() })
}

func TestNoHiddenState(t *testing.T) {
	for _, src := range sources(t) {
		for _, decl := range src.file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s:%d: init hides work from the reader of main", src.name, src.line(fn.Pos()))
			}
			vars, ok := decl.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, spec := range vars.Specs {
				spec := spec.(*ast.ValueSpec)
				for i, name := range spec.Names {
					if _, excepted := mayChange[src.pkg+"."+name.Name]; !excepted && !fixed(spec, i) {
						t.Errorf("%s:%d: %s is a mutable package variable", src.name, src.line(name.Pos()), name)
					}
				}
			}
		}
	}
}

// fixed says whether the i-th variable of a declaration never changes by
// convention: a type assertion, a named error, a compiled pattern, embedded files.
func fixed(spec *ast.ValueSpec, i int) bool {
	name := spec.Names[i].Name
	if name == "_" || strings.HasPrefix(strings.ToLower(name), "err") {
		return true
	}
	if spec.Type != nil {
		return selected(spec.Type) == "embed.FS"
	}
	call, ok := spec.Values[i].(*ast.CallExpr)
	return ok && slices.Contains([]string{"errors.New", "regexp.MustCompile"}, selected(call.Fun))
}

func TestNoFloatHoldsMoney(t *testing.T) {
	for _, src := range sources(t) {
		if !slices.Contains(moneyPath, src.pkg) {
			continue
		}
		ast.Inspect(src.file, func(n ast.Node) bool {
			name, isName := n.(*ast.Ident)
			literal, isLiteral := n.(*ast.BasicLit)
			if isName && slices.Contains([]string{"float32", "float64", "ParseFloat", "FormatFloat"}, name.Name) || isLiteral && literal.Kind == token.FLOAT {
				t.Errorf("%s:%d: a float in the money path", src.name, src.line(n.Pos()))
			}
			return true
		})
	}
}

func TestOnlyProgramsReadTheEnvironment(t *testing.T) {
	readers := []string{"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv", "syscall.Getenv", "syscall.Environ"}
	for _, src := range sources(t) {
		if src.pkg == "bench" || strings.HasPrefix(src.pkg, "cmd/") || strings.HasPrefix(src.pkg, "tools/") {
			continue
		}
		ast.Inspect(src.file, func(n ast.Node) bool {
			if expr, ok := n.(ast.Expr); ok && slices.Contains(readers, selected(expr)) {
				t.Errorf("%s:%d: %s outside cmd and bench", src.name, src.line(n.Pos()), selected(expr))
			}
			return true
		})
	}
}

// selected returns "pkg.Name" for such an expression, else "".
func selected(expr ast.Expr) string {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	pkg, ok := selector.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return pkg.Name + "." + selector.Sel.Name
}

func (s source) line(pos token.Pos) int { return s.fset.Position(pos).Line }
