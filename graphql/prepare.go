package graphql

import (
	"container/list"
	"fmt"
	"sync"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/gqlerrors"
	"github.com/graphql-go/graphql/language/ast"
	"github.com/graphql-go/graphql/language/parser"
	"github.com/graphql-go/graphql/language/source"
)

// maxPrepared is how many bytes of documents are kept ready, and maxKept how many documents.
const (
	maxPrepared = 1 << 20
	maxKept     = 500
)

// Documents turns texts into documents that are safe to run, and keeps the ones used lately.
type documents struct {
	schema *graphql.Schema

	mu    sync.Mutex
	kept  map[string]*list.Element
	order list.List // of *prepared, the one used last in front
	bytes int
}

type prepared struct {
	text string
	doc  *ast.Document
}

// invalid is what is wrong with a document: it could not be parsed, or does not fit the schema.
type invalid struct{ errors []Error }

func (i *invalid) Error() string { return i.errors[0].Message }

// prepare returns the document, which fits the schema and asks for no more than it may with these variables. The
// error is a *limit, an *invalid, or a failure.
func (d *documents) prepare(text string, variables map[string]any) (*ast.Document, error) {
	if doc := d.recall(text); doc != nil {
		return doc, weigh(d.schema, doc, variables)
	}
	plain, err := scan(text)
	if err != nil {
		return nil, err
	}
	doc, err := parse(plain)
	if err != nil {
		return nil, err
	}
	if err := weigh(d.schema, doc, variables); err != nil {
		return nil, err
	}
	if err := validate(d.schema, doc, text); err != nil {
		return nil, err
	}
	d.keep(text, doc)
	return doc, nil
}

// parse reads a document that scan has let through.
func parse(text string) (doc *ast.Document, err error) {
	defer recovered("parse", &err)
	src := source.NewSource(&source.Source{Body: []byte(text), Name: "request"})
	doc, err = parser.Parse(parser.ParseParams{Source: src, Options: parser.ParseOptions{NoSource: true}})
	if syntax, ok := err.(*gqlerrors.Error); ok {
		return nil, &invalid{[]Error{located(syntax, text, "syntax")}}
	}
	return doc, err
}

// validate checks that the document fits the schema. weigh has seen the document before.
func validate(schema *graphql.Schema, doc *ast.Document, text string) (err error) {
	defer recovered("validate", &err)
	result := graphql.ValidateDocument(schema, doc, graphql.SpecifiedRules)
	if result.IsValid {
		return nil
	}
	wrong := &invalid{}
	for _, e := range result.Errors[:min(len(result.Errors), maxErrors)] {
		if full, ok := e.OriginalError().(*gqlerrors.Error); ok {
			wrong.errors = append(wrong.errors, located(full, text, "validation"))
		}
	}
	if len(wrong.errors) == 0 {
		wrong.errors = []Error{{Message: "the document is not valid", Extensions: extensions("validation", "")}}
	}
	return wrong
}

// recovered turns a panic of the library below into what its caller did wrong: documents that break it make no
// sense, and the server must live on.
func recovered(what string, err *error) {
	if p := recover(); p != nil {
		*err = &invalid{[]Error{{
			Message: fmt.Sprintf("the document makes no sense: it could not be read to the end (%s)", what), Extensions: extensions("syntax", ""),
		}}}
	}
}

func (d *documents) recall(text string) *ast.Document {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.kept[text]
	if !ok {
		return nil
	}
	d.order.MoveToFront(e)
	return e.Value.(*prepared).doc
}

func (d *documents) keep(text string, doc *ast.Document) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil {
		d.kept = map[string]*list.Element{}
	}
	if _, ok := d.kept[text]; ok {
		return
	}
	d.kept[text] = d.order.PushFront(&prepared{text, doc})
	d.bytes += len(text)
	for d.bytes > maxPrepared || len(d.kept) > maxKept {
		last := d.order.Remove(d.order.Back()).(*prepared)
		delete(d.kept, last.text)
		d.bytes -= len(last.text)
	}
}

// operation returns the operation that the request names, or the only one; nil if it is not clear which.
func operation(doc *ast.Document, name string) *ast.OperationDefinition {
	var found *ast.OperationDefinition
	for _, def := range doc.Definitions {
		op, ok := def.(*ast.OperationDefinition)
		if !ok || name != "" && (op.Name == nil || op.Name.Value != name) {
			continue
		}
		if found != nil {
			return nil
		}
		found = op
	}
	return found
}
