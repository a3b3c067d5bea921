package command

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

//go:embed declarations.txt
var declarationsText string

// declarations returns the types of declarations.txt. A fault in it is a programmer's slip, and panics.
var declarations = sync.OnceValue(func() []Spec {
	specs, err := readTable(declarationsText, nil)
	if err != nil {
		panic(err)
	}
	return specs
})

// Declarations returns what the payload of each of Apple's declarations takes, sorted by type. A Spec's Group is the kind
// of declaration. It must not be changed.
func Declarations() []Spec { return declarations() }

// LookupDeclaration returns what the payload of a declaration takes, if Apple has that type.
func LookupDeclaration(declarationType string) (spec *Spec, known bool) {
	all := declarations()
	i, found := slices.BinarySearchFunc(all, declarationType, func(s Spec, t string) int { return strings.Compare(s.Type, t) })
	if !found {
		return nil, false
	}
	return &all[i], true
}
