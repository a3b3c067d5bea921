package command

import (
	"strconv"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Available returns the refusal of a command that a platform's version does not have. An empty version is any.
func (s *Spec) Available(p Platform, version string) error {
	support, exists := s.On(p)
	switch {
	case !exists:
		return domain.Refusef(domain.Invalid, "%s does not exist on %s", s.Type, p)
	case version == "":
		return nil
	case before(version, support.Introduced):
		return domain.Refusef(domain.Invalid, "%s came with %s %s; the device has %s", s.Type, p, support.Introduced, version)
	case support.Removed != "" && !before(version, support.Removed):
		return domain.Refusef(domain.Invalid, "%s went with %s %s; the device has %s", s.Type, p, support.Removed, version)
	}
	return nil
}

// before reports whether version v is older than w. Versions are compared number by number; what is missing is 0.
func before(v, w string) bool {
	for v != "" || w != "" {
		var a, b int
		a, v = number(v)
		b, w = number(w)
		if a != b {
			return a < b
		}
	}
	return false
}

// number returns the first number of a version and what follows it. What is no number counts as 0.
func number(version string) (n int, rest string) {
	first, rest, _ := strings.Cut(version, ".")
	first, _, supplemental := strings.Cut(first, " ") // 13.6.1 (a)
	n, _ = strconv.Atoi(first)
	if supplemental {
		rest = ""
	}
	return n, rest
}

// Older reports whether version v is older than w. Versions are compared number by number; what is missing is 0.
func Older(v, w string) bool { return before(v, w) }
