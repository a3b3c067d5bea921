package handlers

import (
	"strings"

	"rsc.io/qr"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A QR is a text as cameras read it.
type QR struct{ code *qr.Code }

// NewQR returns a text as a QR code, which stays readable with 15 % of it damaged. Refused if it is longer than some 2,000 bytes.
func NewQR(text string) (QR, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return QR{}, domain.Refusef(domain.Invalid, "the text is too long for a QR code")
	}
	return QR{code}, nil
}

// PNG returns it as a picture, with the margin that cameras need, eight pixels a module.
func (q QR) PNG() []byte { return q.code.PNG() }

// margin is what cameras need around a code, in modules.
const margin = 4

// Text returns it for a terminal: half a block of text is a module, light is the terminal's own letters, for most are dark.
func (q QR) Text() string {
	var b strings.Builder
	for y := -margin; y < q.code.Size+margin; y += 2 {
		for x := -margin; x < q.code.Size+margin; x++ {
			upper, lower := !q.code.Black(x, y), !q.code.Black(x, y+1)
			if y+1 >= q.code.Size+margin {
				lower = false
			}
			b.WriteString(halves[upper][lower])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

var halves = map[bool]map[bool]string{true: {true: "█", false: "▀"}, false: {true: "▄", false: " "}}
