package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// A row is one figure.
type row struct {
	Of     string  `json:"of"`     // server or log
	What   string  `json:"what"`   // for people
	Figure float64 `json:"figure"` // the median where something is measured several times
	Unit   string  `json:"unit"`
	Want   string  `json:"want,omitempty"` // what it shall be
	Note   string  `json:"note,omitempty"`
}

// A report is what a run has found, in order.
type report struct {
	Machine string `json:"machine"`
	Rows    []row  `json:"rows"`
}

// machine names what the figures were measured on.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	load := ""
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = ", load " + strings.Fields(string(text))[0] + " at the start"
	}
	return fmt.Sprintf("%d × %s, %s/%s, %s%s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version(), load)
}

func (r *report) add(rows ...row) { r.Rows = append(r.Rows, rows...) }

// print writes all figures: one table for people, or JSON for programs.
func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	fmt.Fprintf(w, "\n%s\n", r.Machine)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "of\twhat\tfigure\twanted\t")
	for _, x := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%s\t%s\n", x.Of, x.What, number(x.Figure), x.Unit, x.Want, x.Note)
	}
	return t.Flush()
}

// number writes a figure with as many digits as mean something.
func number(f float64) string {
	switch {
	case f >= 1000:
		return thousands(int64(f + 0.5))
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// median returns the middle of some figures.
func median[T cmp.Ordered](all []T) T {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}
