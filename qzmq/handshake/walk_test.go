package handshake

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// plain lists the exported structs of the packages below that hold nothing
// secret, and so may print as they are.
var plain = map[string]string{
	"handshake.Authority":   "a public key",
	"handshake.Certificate": "is shown to every peer",
	"handshake.Request":     "a public key and a signature",
	"handshake.Error":       "of secrets only what is sealed already",
}

// TestEveryTypeHidesItsSecrets walks every exported type of the packages that
// see secrets: each struct with a field that is not exported either hides itself
// from printers, by embedding hidden or by a Format of its own, or is on the list
// of those that have nothing to hide.
func TestEveryTypeHidesItsSecrets(t *testing.T) {
	seen := 0
	for _, name := range []string{"handshake", "record", "zmtp"} {
		files, err := filepath.Glob("../" + name + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		formats := map[string]bool{}
		structs := map[string]*ast.StructType{}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			collect(f, formats, structs)
		}
		for typeName, st := range structs {
			if !ast.IsExported(typeName) || !hasUnexported(st) {
				continue
			}
			seen++
			full := name + "." + typeName
			_, nothing := plain[full]
			hides := formats[typeName] || embedsHidden(structs, st)
			switch {
			case hides && nothing:
				t.Errorf("%s hides itself and is listed as plain", full)
			case !hides && !nothing:
				t.Errorf("%s has private fields and prints them: embed hidden, or list it as plain with the reason", full)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d types were seen", seen)
	}
}

// collect notes the types of a file that have a Format method, and its structs.
func collect(f *ast.File, formats map[string]bool, structs map[string]*ast.StructType) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv != nil && d.Name.Name == "Format" {
				formats[receiver(d.Recv.List[0].Type)] = true
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if ts, ok := s.(*ast.TypeSpec); ok {
					if st, ok := ts.Type.(*ast.StructType); ok {
						structs[ts.Name.Name] = st
					}
				}
			}
		}
	}
}

func receiver(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func hasUnexported(st *ast.StructType) bool {
	for _, f := range st.Fields.List {
		for _, n := range f.Names {
			if !n.IsExported() {
				return true
			}
		}
		if len(f.Names) == 0 {
			return true
		}
	}
	return false
}

// embedsHidden says whether hidden is embedded, directly or in an embedded struct.
func embedsHidden(structs map[string]*ast.StructType, st *ast.StructType) bool {
	for _, f := range st.Fields.List {
		if len(f.Names) > 0 {
			continue
		}
		id, ok := f.Type.(*ast.Ident)
		if !ok {
			continue
		}
		if id.Name == "hidden" || structs[id.Name] != nil && embedsHidden(structs, structs[id.Name]) {
			return true
		}
	}
	return false
}
