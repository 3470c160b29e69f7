/// Numbers of tokens as people write them.
package enum TokenCount {
    /// Reads a number, with `k`, `m`, `b` or `t` behind it for thousands, millions, billions and trillions.
    ///
    /// - Parameter text: A text such as `5000000`, `5m` or `1.5b`.
    /// - Returns: The number; nil for another text, a negative number or more than 10¹⁸.
    package static func parsed(_ text: String) -> Int? {
        let units: [Character: Double] = ["k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12]
        guard let unit = text.lowercased().last.flatMap({ units[$0] }) else {
            return Int(text).flatMap { (0..<1_000_000_000_000_000_000).contains($0) ? $0 : nil }
        }
        guard let value = Double(text.dropLast()).map({ ($0 * unit).rounded() }), value >= 0, value < 1e18 else {
            return nil
        }
        return Int(value)
    }
}
