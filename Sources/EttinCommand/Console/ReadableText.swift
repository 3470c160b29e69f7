extension Double {
    /// The number with four digits behind the point, for columns of numbers of both signs.
    var shown: String { self < 0 ? "-" + (-self).rounded(toPlaces: 4) : " " + rounded(toPlaces: 4) }
}

extension String {
    /// The text with its line breaks written out, so that it takes one line.
    var onOneLine: String {
        var result = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            switch scalar {
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            default: result.append(scalar)
            }
        }
        return String(result)
    }
}
