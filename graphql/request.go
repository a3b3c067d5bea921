package graphql

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
)

// The media types of GraphQL over HTTP. Source: the GraphQL foundation's draft "GraphQL over HTTP".
const (
	typeJSON     = "application/json"
	typeResponse = "application/graphql-response+json"
)

// maxBody is the most that a request's body may have, in bytes. Its document may have maxDocument of them.
const maxBody = 4 << 20

// A request is what a client asks.
type request struct {
	Query         string
	OperationName string
	Variables     map[string]any
}

// decode reads a request from its URL or its body, by the method.
func decode(c echo.Context) (request, error) {
	if c.Request().Method == http.MethodGet {
		return fromURL(c)
	}
	kind, params, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	charset := params["charset"]
	if err != nil || kind != typeJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return request{}, echo.NewHTTPError(http.StatusUnsupportedMediaType, "send application/json in UTF-8")
	}
	body, err := bodyOf(c.Request())
	if err != nil {
		return request{}, err
	}
	return fromJSON(body)
}

// bodyOf returns the body. It makes room once where the length is told.
func bodyOf(r *http.Request) ([]byte, error) {
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(min(r.ContentLength, maxBody)) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(r.Body); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func fromURL(c echo.Context) (request, error) {
	q := c.Request().URL.Query()
	fields := map[string]json.RawMessage{}
	for _, name := range []string{"query", "operationName"} {
		if q.Has(name) {
			fields[name], _ = json.Marshal(q.Get(name)) // text always marshals
		}
	}
	for _, name := range []string{"variables", "extensions"} {
		if q.Get(name) != "" {
			fields[name] = json.RawMessage(q.Get(name))
		}
	}
	return fromFields(fields)
}

func fromJSON(body []byte) (request, error) {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		return request{}, bad("batches are not taken: send one request at a time")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return request{}, bad("the body is no JSON object")
	}
	return fromFields(fields)
}

func fromFields(fields map[string]json.RawMessage) (r request, err error) {
	if r.Query, err = text(fields, "query"); err != nil {
		return r, err
	}
	if r.Query == "" {
		return r, bad("the request has no query")
	}
	if r.OperationName, err = text(fields, "operationName"); err != nil {
		return r, err
	}
	if _, err = object(fields, "extensions"); err != nil {
		return r, err
	}
	r.Variables, err = object(fields, "variables")
	return r, err
}

func text(fields map[string]json.RawMessage, name string) (s string, err error) {
	if raw, ok := fields[name]; ok && json.Unmarshal(raw, &s) != nil {
		return "", bad(strconv.Quote(name) + " must be a string")
	}
	return s, nil
}

func object(fields map[string]json.RawMessage, name string) (o map[string]any, err error) {
	raw, ok := fields[name]
	if !ok {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		return nil, bad(strconv.Quote(name) + " must be a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, bad(strconv.Quote(name) + " must be one JSON object")
	}
	numbers(o)
	return o, nil
}

func bad(text string) error { return domain.Refusef(domain.Invalid, "%s", text) }

// negotiate returns the media type of the answer: the client's favourite of the two we have, application/json
// for one who does not care, "" for one who wants neither.
func negotiate(accept string) string {
	if strings.TrimSpace(accept) == "" {
		return typeJSON
	}
	best, quality := "", 0.0
	for part := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(part)
		q, bad := strconv.ParseFloat(params["q"], 64)
		if bad != nil {
			q = 1
		}
		switch kind {
		case "*/*", "application/*":
			kind = typeJSON
		case typeJSON, typeResponse:
		default:
			continue
		}
		if charset := params["charset"]; err == nil && q > quality && (charset == "" || strings.EqualFold(charset, "utf-8")) {
			best, quality = kind, q
		}
	}
	return best
}
