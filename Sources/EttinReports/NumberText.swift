/// Numbers for people.
package enum NumberText {
    /// A number with this many decimals.
    package static func fixed(_ value: Double, places: Int) -> String {
        guard value.isFinite else { return nonFinite(value) }
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = (value.magnitude * scale).rounded()
        guard scaled < 9e15 else { return "\(value)" }
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard places > 0 else { return "\(sign)\(Int(scaled))" }
        let (whole, fraction) = Int(scaled).quotientAndRemainder(dividingBy: Int(scale))
        return "\(sign)\(whole)." + padded(fraction, to: places)
    }

    /// A number with this many significant digits, such as `0.000800`, `8.00e-05` or `12.3`.
    package static func significant(_ value: Double, digits: Int) -> String {
        guard value.isFinite, value != 0 else { return value == 0 ? "0" : nonFinite(value) }
        var exponent = 0
        var mantissa = value.magnitude
        while mantissa >= 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
        while mantissa < 1 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
        // Rounding may carry into a digit more: 9.996 is 10.0.
        if fixed(mantissa, places: digits - 1).hasPrefix("10") { (mantissa, exponent) = (1, exponent + 1) }
        if exponent < -4 || exponent > 8 {
            let sign = value < 0 ? "-" : ""
            let power = padded(abs(exponent), to: 2)
            return "\(sign)\(fixed(mantissa, places: digits - 1))e\(exponent < 0 ? "-" : "+")\(power)"
        }
        return fixed(value, places: max(0, digits - 1 - exponent))
    }

    /// A number in at most four significant digits, without trailing zeros: `0.0008`, `8e-05`.
    package static func shortest(_ value: Double) -> String { trimmed(significant(value, digits: 4)) }

    /// A count with a letter for thousands, millions, billions or trillions: `12.3k`.
    package static func compact(_ value: Double, digits: Int = 3) -> String {
        guard value.isFinite else { return nonFinite(value) }
        for (size, letter) in [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")] where value.magnitude >= size * 0.99995
        {
            return trimmed(significant(value / size, digits: digits)) + letter
        }
        return trimmed(significant(value, digits: digits))
    }

    /// A number of bytes in powers of 1000.
    package static func bytes(_ value: Double) -> String {
        for (size, unit) in [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")] where value >= size {
            return "\(fixed(value / size, places: value / size < 10 ? 1 : 0)) \(unit)"
        }
        return "\(fixed(value, places: 0)) B"
    }

    /// Hours, minutes and seconds, days where there are some.
    package static func duration(_ seconds: Double) -> String {
        let total = Int(min(max(0, seconds.isNaN ? 0 : seconds), 1e11).rounded())
        let clock = "\(padded(total / 60 % 60, to: 2)):\(padded(total % 60, to: 2))"
        if total < 3600 { return clock }
        if total < 86400 { return "\(total / 3600):\(clock)" }
        return "\(total / 86400)d \(padded(total / 3600 % 24, to: 2)):\(clock)"
    }

    /// A whole number with a comma after every three digits.
    package static func grouped(_ value: Int) -> String {
        var groups: [String] = []
        var rest = value.magnitude
        while rest >= 1000 {
            groups.append(padded(Int(rest % 1000), to: 3))
            rest /= 1000
        }
        return (value < 0 ? "-" : "") + ([String(rest)] + groups.reversed()).joined(separator: ",")
    }

    /// The text without zeros that end a fraction.
    package static func trimmed(_ text: String) -> String {
        let exponent = text.firstIndex(of: "e") ?? text.endIndex
        var digits = text[..<exponent]
        guard digits.contains(".") else { return text }
        while digits.last == "0" { digits.removeLast() }
        if digits.last == "." { digits.removeLast() }
        return String(digits) + text[exponent...]
    }

    private static func padded(_ number: Int, to width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private static func nonFinite(_ value: Double) -> String {
        value.isNaN ? "NaN" : value < 0 ? "-∞" : "∞"
    }
}
