/// Pearson's correlation coefficient; NaN for values that are all the same.
///
/// - Parameters:
///   - ones: Values.
///   - others: As many values.
/// - Returns: -1 to 1.
///
/// > Source: SciPy, `pearsonr`.
func pearsonCorrelation(_ ones: [Double], _ others: [Double]) -> Double {
    func centred(_ values: [Double]) -> [Double] {
        let mean = values.reduce(0, +) / Double(values.count)
        return values.map { $0 - mean }
    }
    func norm(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
    let (one, other) = (centred(ones), centred(others))
    let (oneNorm, otherNorm) = (norm(one), norm(other))
    guard Set(ones).count > 1, Set(others).count > 1, oneNorm > 0, otherNorm > 0 else { return .nan }
    let sum = zip(one, other).reduce(0) { $0 + ($1.0 / oneNorm) * ($1.1 / otherNorm) }
    return min(max(sum, -1), 1)
}

/// Spearman's correlation coefficient: Pearson's of ranks, equal values sharing the mean of theirs.
///
/// - Parameters:
///   - ones: Values.
///   - others: As many values.
/// - Returns: -1 to 1; NaN for values that are all the same.
///
/// > Source: SciPy, `spearmanr`.
func spearmanCorrelation(_ ones: [Double], _ others: [Double]) -> Double {
    pearsonCorrelation(ranks(ones), ranks(others))
}

private func ranks(_ values: [Double]) -> [Double] {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var ranks = [Double](repeating: 0, count: values.count)
    var begin = 0
    while begin < order.count {
        var end = begin + 1
        while end < order.count, values[order[end]] == values[order[begin]] { end += 1 }
        for place in order[begin..<end] { ranks[place] = Double(begin + end + 1) / 2 }
        begin = end
    }
    return ranks
}
