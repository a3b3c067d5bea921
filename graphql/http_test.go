package graphql

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/handlers"
)

func TestGraphQLOverHTTP(t *testing.T) {
	h := newHouse(t)
	const jsonType, responseType = "application/json", "application/graphql-response+json"
	get := func(pairs ...string) string {
		q := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			q.Set(pairs[i], pairs[i+1])
		}
		return "/graphql?" + q.Encode()
	}
	const mutation = `mutation{wake(devices:["x"]){requested}}`
	tests := []struct {
		name                      string
		method, url, kind, accept string
		body                      string
		status                    int
		answer                    string // its media type
		holds                     string
	}{
		{"a query", "POST", "/graphql", jsonType, "", `{"query":"{me{name}}"}`, 200, jsonType, `"name":"Ada the viewer"`},
		{"with a charset", "POST", "/graphql", "application/json; charset=UTF-8", "*/*", `{"query":"{me{name}}"}`, 200, jsonType, `"data"`},
		{"the newer type", "POST", "/graphql", jsonType, responseType, `{"query":"{me{name}}"}`, 200, responseType, `"data"`},
		{"the newer type first", "POST", "/graphql", jsonType, responseType + ", application/json;q=0.9", `{"query":"{me{name}}"}`, 200, responseType, `"data"`},
		{"the older type preferred", "POST", "/graphql", jsonType, responseType + ";q=0.5, application/json", `{"query":"{me{name}}"}`, 200, jsonType, `"data"`},
		{"neither type", "POST", "/graphql", jsonType, "text/html", `{"query":"{me{name}}"}`, 406, jsonType, "not-acceptable"},
		{"nulls", "POST", "/graphql", jsonType, "", `{"query":"{me{name}}","variables":null,"operationName":null,"extensions":null}`, 200, jsonType, `"data"`},
		{"extensions", "POST", "/graphql", jsonType, "", `{"query":"{me{name}}","extensions":{"a":1}}`, 200, jsonType, `"data"`},
		{"an operation by name", "POST", "/graphql", jsonType, "", `{"query":"query A{me{name}} query B{me{role}}","operationName":"B"}`, 200, jsonType, `"role":"VIEWER"`},
		{"variables", "POST", "/graphql", jsonType, "", `{"query":"query($n:Boolean!){me{name @include(if:$n)}}","variables":{"n":true}}`, 200, jsonType, `"name"`},

		{"by GET", "GET", get("query", "{me{name}}"), "", "", "", 200, jsonType, `"data"`},
		{"by GET with variables", "GET", get("query", "query($n:Boolean!){me{name @include(if:$n)}}", "variables", `{"n":true}`), "", "", "", 200, jsonType, `"name"`},
		{"by GET without a query", "GET", "/graphql", "", "", "", 400, jsonType, "no query"},
		{"T09 a mutation by GET", "GET", get("query", mutation), "", "", "", 405, jsonType, "POST"},
		{"T09 a named mutation by GET", "GET", get("query", "query Q{me{id}} mutation M{wake(devices:[\"x\"]){requested}}", "operationName", "M"), "", "", "", 405, jsonType, "POST"},
		{"T09 a mutation as text", "POST", "/graphql", "text/plain", "", `{"query":"` + mutation + `"}`, 415, jsonType, "application/json"},
		{"T09 a mutation as a form", "POST", "/graphql", "application/x-www-form-urlencoded", "", "query=" + url.QueryEscape(mutation), 415, jsonType, ""},
		{"T09 a mutation as a multipart form", "POST", "/graphql", "multipart/form-data; boundary=x", "", "--x\r\n\r\n--x--", 415, jsonType, ""},
		{"no content type", "POST", "/graphql", "", "", `{"query":"{me{name}}"}`, 415, jsonType, ""},
		{"another charset", "POST", "/graphql", "application/json; charset=utf-16", "", `{}`, 415, jsonType, ""},
		{"PUT", "PUT", "/graphql", jsonType, "", `{"query":"{me{name}}"}`, 405, jsonType, ""},
		{"T10 a batch", "POST", "/graphql", jsonType, "", ` [{"query":"{me{name}}"}]`, 400, jsonType, "batches"},
		{"no JSON", "POST", "/graphql", jsonType, "", `{"query":`, 400, jsonType, "JSON"},
		{"nothing", "POST", "/graphql", jsonType, "", ``, 400, jsonType, "JSON"},
		{"null", "POST", "/graphql", jsonType, "", `null`, 400, jsonType, "JSON"},
		{"no query", "POST", "/graphql", jsonType, "", `{}`, 400, jsonType, "no query"},
		{"a query that is no text", "POST", "/graphql", jsonType, "", `{"query":7}`, 400, jsonType, "string"},
		{"variables that are no object", "POST", "/graphql", jsonType, "", `{"query":"{me{id}}","variables":[1]}`, 400, jsonType, "object"},
		{"extensions that are no object", "POST", "/graphql", jsonType, "", `{"query":"{me{id}}","extensions":"x"}`, 400, jsonType, "object"},
		{"an operation name that is no text", "POST", "/graphql", jsonType, "", `{"query":"{me{id}}","operationName":{}}`, 400, jsonType, "string"},

		{"a syntax error", "POST", "/graphql", jsonType, "", `{"query":"{"}`, 200, jsonType, `"code":"syntax"`},
		{"a syntax error, newer", "POST", "/graphql", jsonType, responseType, `{"query":"{"}`, 400, responseType, `"code":"syntax"`},
		{"an unknown field", "POST", "/graphql", jsonType, "", `{"query":"{me{nam}}"}`, 200, jsonType, `"code":"validation"`},
		{"an unknown field, newer", "POST", "/graphql", jsonType, responseType, `{"query":"{me{nam}}"}`, 400, responseType, `"line":1,"column":5`},
		{"a wrong variable", "POST", "/graphql", jsonType, "", `{"query":"query($n:Boolean!){me{name @include(if:$n)}}"}`, 200, jsonType, `"code":"validation"`},
		{"a wrong variable, newer", "POST", "/graphql", jsonType, responseType, `{"query":"query($n:Boolean!){me{name @include(if:$n)}}"}`, 400, responseType, `"code":"validation"`},
		{"a secret in a wrong variable", "POST", "/graphql", jsonType, "", `{"query":"mutation($i:SendCommandInput!){sendCommand(input:$i){refused{code}}}","variables":{"i":{"parameters":{"PIN":"canary-pin"},"x":1}}}`, 200, jsonType, `Unknown field`},
		{"no such operation", "POST", "/graphql", jsonType, responseType, `{"query":"query A{me{id}}","operationName":"B"}`, 400, responseType, `"code":"validation"`},
		{"which operation", "POST", "/graphql", jsonType, responseType, `{"query":"query A{me{id}} query B{me{id}}"}`, 400, responseType, `"code":"validation"`},
		{"T01 a fragment that spreads itself", "POST", "/graphql", jsonType, "", `{"query":"{node{...F}} fragment F on Node{...F}"}`, 400, jsonType, `"code":"limit"`},
		{"T03 a variable without a type", "POST", "/graphql", jsonType, "", `{"query":"query A($a:){hello}"}`, 200, jsonType, `"code":"syntax"`},
		{"T04 a document that is too long", "POST", "/graphql", jsonType, "", `{"query":"` + strings.Repeat("{a", 128<<10) + `"}`, 413, jsonType, `"code":"limit"`},
		{"a body that is too long", "POST", "/graphql", jsonType, "", `{"query":"{me{id}}","variables":{"a":"` + strings.Repeat("a", maxBody) + `"}}`, 413, jsonType, "bytes"},
		{"a subscription", "POST", "/graphql", jsonType, "", `{"query":"subscription{events{id}}"}`, 400, jsonType, "subscriptions"},
		{"a subscription to nothing", "POST", "/graphql", jsonType, "", `{"query":"subscription{__schema{types{name}}}"}`, 400, jsonType, "subscriptions"},
		{"the schema", "POST", "/graphql", jsonType, "", mustJSON(map[string]string{"query": introspection}), 200, jsonType, `"sendCommand"`},
	}
	before, err := h.log.Head(t.Context())
	h.ok(err)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rec := h.send(operator.Viewer, test.method, test.url, test.kind, test.accept, test.body)
			if rec.Code != test.status {
				t.Errorf("status %d, want %d: %.300s", rec.Code, test.status, rec.Body)
			}
			if kind := rec.Header().Get("Content-Type"); !strings.EqualFold(kind, test.answer+"; charset=utf-8") && kind != test.answer {
				t.Errorf("the answer is %s, want %s", kind, test.answer)
			}
			if !strings.Contains(rec.Body.String(), test.holds) {
				t.Errorf("the answer has no %s: %.500s", test.holds, rec.Body)
			}
			var told map[string]json.RawMessage
			if err := json.Unmarshal(rec.Body.Bytes(), &told); err != nil {
				t.Errorf("the answer is no JSON: %v", err)
			}
			if _, has := told["data"]; has && rec.Code != 200 {
				t.Error("nothing was run, but there is data")
			}
			if strings.Contains(rec.Body.String(), "canary") {
				t.Errorf("the answer quotes a secret: %s", rec.Body)
			}
		})
	}
	after, err := h.log.Head(t.Context())
	h.ok(err)
	if before != after {
		t.Errorf("something was appended: %d, then %d", before, after)
	}
}

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestStrangersLearnNothing(t *testing.T) {
	h := newHouse(t)
	for _, body := range []string{`{"query":"{me{nam}}"}`, mustJSON(map[string]string{"query": introspection}), "{"} {
		rec := h.send("", http.MethodPost, "/graphql", "application/json", "", body)
		if rec.Code != 401 || strings.Contains(rec.Body.String(), "name\"") || rec.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
		}
	}
}

func TestAnswersAreNotKeptByOthers(t *testing.T) {
	h := newHouse(t)
	rec := h.send(operator.Viewer, http.MethodGet, "/graphql?query={me{id}}", "", "", "")
	if rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the headers are %v", rec.Header())
	}
	if rec.Header().Get("X-Request-Id") == "" {
		t.Error("the request has no id")
	}
}

// TestAPanicIsMasked (T15) makes resolvers panic in every way: the caller learns the request's id, the log the stack.
func TestAPanicIsMasked(t *testing.T) {
	h := newHouse(t)
	var nothing map[string]int
	for name, panics := range map[string]func(){
		"a text":          func() { panic("canary-text") },
		"a number":        func() { panic(7) },
		"a nil map":       func() { nothing["a"] = 1 },
		"a runtime error": func() { _ = []int{}[len(nothing)] },
	} {
		field := h.door.schema.QueryType().Fields()["log"]
		field.Resolve = root("", must(jsonScalar), nil, func(context.Context, *run, args) (any, error) {
			panics()
			return nil, nil
		}).Resolve
		status, out := h.post(operator.Viewer, "{me{id} log{size}}", nil)
		if status != 200 || len(out.Errors) != 1 {
			t.Fatalf("%s: %d %+v", name, status, out)
		}
		told := out.Errors[0]
		if told.Extensions["code"] != "internal" || told.Extensions["request"] == "" || strings.Contains(told.Message, "canary") {
			t.Errorf("%s is told as %+v", name, told)
		}
		id, _ := told.Extensions["request"].(string)
		if logged := h.logged.String(); !strings.Contains(logged, id) || !strings.Contains(logged, "http_test.go") {
			t.Errorf("%s: the log has no stack under %s", name, id)
		}
	}
}

func TestErrorsHaveCodesAndHints(t *testing.T) {
	h := newHouse(t)
	_, out := h.post(operator.Viewer, `mutation{wake(devices:["x"]){requested}}`, nil)
	if len(out.Errors) != 1 || out.Errors[0].Extensions["code"] != "forbidden" || out.Errors[0].Extensions["hint"] == nil {
		t.Errorf("%+v", out.Errors)
	}
	if out.Data != nil {
		t.Errorf("data is %v, want null", out.Data)
	}
	if len(out.Errors[0].Path) != 1 || len(out.Errors[0].Locations) != 1 {
		t.Errorf("the error has no place: %+v", out.Errors[0])
	}
}

// TestWhoMayAskForWhat (T17) asks for each field of Query and Mutation as each role.
func TestWhoMayAskForWhat(t *testing.T) {
	h := newHouse(t)
	for _, typeName := range []string{"Query", "Mutation"} {
		for _, role := range operator.Roles() {
			checkRole(t, h, typeName, role)
		}
	}
}

// administrators are the fields that are for administrators alone.
var administrators = map[string]bool{
	"tokens": true, "masterKey": true, "createToken": true, "revokeToken": true, "eraseSubject": true, "rotateMasterKey": true, "sendRawCommand": true, "rebuildViews": true,
	"makeFileVaultEscrow": true, "requestPushCertificate": true, "revokeCertificate": true, "rollOverRoot": true, "importRoot": true, "retireRoot": true, "putProfile": true, "withdrawProfile": true,
	"unenrol": true, "stayEnrolled": true, "quarantine": true, "liftQuarantine": true,
	"holdQueue": true, "releaseQueue": true, "holdCommand": true, "releaseCommand": true,
}

func checkRole(t *testing.T, h *house, typeName string, role operator.Role) {
	schema := h.door.schema
	fields := schema.QueryType().Fields()
	if typeName == "Mutation" {
		fields = schema.MutationType().Fields()
	}
	for name := range fields {
		check, _ := permissionOf(typeName, name)
		want := check(handlers.Caller{Role: role}) == nil
		if name == "enrolmentLink" || name == "enrolmentCode" { // whoever has it may use it
			if may := role == operator.Administrator || role == operator.Operator; may != want {
				t.Errorf("%s may ask for %s: %v", role, name, want)
			}
			continue
		}
		if open := role == operator.Administrator || typeName == "Query" && !administrators[name] ||
			typeName == "Mutation" && role == operator.Operator && !administrators[name] && name != "disclose" ||
			role == operator.Auditor && name == "disclose"; open != want {
			t.Errorf("%s may ask for %s.%s: %v, want %v", role, typeName, name, want, open)
		}
	}
}
