package projections

import (
	"fmt"
	"strings"
)

// platformOf tells the platform by Apple's identifier of the product (iPad13,4), or else by the model's name.
func platformOf(product, model string) Platform {
	for _, name := range []string{product, model} {
		switch {
		case strings.HasPrefix(name, "iPhone"), strings.HasPrefix(name, "iPod"):
			return IOS
		case strings.HasPrefix(name, "iPad"):
			return IPadOS
		case strings.HasPrefix(name, "AppleTV"), strings.HasPrefix(name, "Apple TV"):
			return TVOS
		case strings.HasPrefix(name, "Watch"), strings.HasPrefix(name, "Apple Watch"):
			return WatchOS
		case strings.HasPrefix(name, "RealityDevice"), strings.HasPrefix(name, "Apple Vision"):
			return VisionOS
		case strings.Contains(name, "Mac"):
			return MacOS
		}
	}
	return ""
}

// versionParts cuts a version (14.2.1, 13.6.1 (a)) into its numbers; ok is false if it is none.
func versionParts(version string) (parts []uint64, ok bool) {
	version, _, _ = strings.Cut(version, " ")
	for part := range strings.SplitSeq(version, ".") {
		var n uint64
		if part == "" || len(part) > 9 {
			return nil, false
		}
		for _, digit := range part {
			if digit < '0' || digit > '9' {
				return nil, false
			}
			n = n*10 + uint64(digit-'0')
		}
		parts = append(parts, n)
	}
	return parts, true
}

// sortable writes a version so that texts sort as versions do; what is no version sorts after them.
func sortable(version string) string {
	parts, ok := versionParts(version)
	if !ok {
		return "~" + version
	}
	for len(parts) > 1 && parts[len(parts)-1] == 0 {
		parts = parts[:len(parts)-1] // 17.0 is 17
	}
	var b strings.Builder
	for _, n := range parts {
		fmt.Fprintf(&b, "%09d.", n)
	}
	return b.String()
}
