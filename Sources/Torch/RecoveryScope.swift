import CTorch

/// Runs `body` and throws the first memory or device failure of a tensor operation inside it.
///
/// Tensor operators do not throw, so that model code stays readable. After a failure the remaining operations of the
/// scope do nothing and give empty tensors, of which every `size(_:)` is 0. Scopes nest: a failure is thrown by the
/// outermost one. libtorch keeps this state per thread, hence the synchronous closure.
///
/// - Parameter body: What one request or one training step computes.
/// - Returns: What `body` returns.
/// - Throws: ``TorchError``, or what `body` throws.
public func withRecovery<Result>(_ body: () throws -> Result) throws -> Result {
    ct_scope_open()
    let result: Swift.Result<Result, any Error>
    do {
        result = .success(try body())
    } catch {
        result = .failure(error)
    }
    let status = ct_scope_close()
    // A device failure is the cause of whatever `body` made of its empty tensors.
    if let error = TorchError(status) { throw error }
    return try result.get()
}

/// Whether an operation of the enclosing recovery scope has failed, so that what follows does nothing.
package var recoveryScopeHasFailed: Bool { ct_scope_has_failed() }

/// Runs what there is another way for, should memory not suffice: a failure in it is none of the enclosing scope.
///
/// - Parameter body: What to try.
/// - Returns: What `body` returns; nil when memory or device failed in it, or in the scope before.
package func attempt<Result>(_ body: () -> Result) -> Result? {
    guard !ct_scope_has_failed() else { return nil }
    ct_scope_open()
    let result = body()
    return ct_scope_close_attempt() == CT_OK ? result : nil
}

extension TorchError {
    /// The error a status stands for, or nil for success and for mistakes of our own.
    init?(_ status: CTStatus) {
        switch status {
        case CT_OUT_OF_MEMORY: self.init(kind: .outOfMemory, message: String(cString: ct_error_message()))
        case CT_DEVICE: self.init(kind: .device, message: String(cString: ct_error_message()))
        default: return nil
        }
    }
}

/// Traps on mistakes of our own, and on failures nobody opened a scope for.
///
/// - Returns: Whether the operation ran; false when it failed, or was skipped, inside a recovery scope.
func succeeded(_ status: CTStatus, _ operation: StaticString, _ operands: [Tensor]) -> Bool {
    if status == CT_OK { return true }
    if status == CT_SKIPPED || (status != CT_USAGE && ct_scope_is_open()) { return false }
    let text = String(cString: ct_error_message())
    let shapes = operands.map { "\($0.dtype.rawValue)\($0.shape)" }.joined(separator: ", ")
    // Unlike a failed precondition, this prints its message in optimised builds too.
    fatalError("\(operation)(\(shapes)): \(text)")
}

/// Traps, with the message in optimised builds too, unless a condition holds.
func requireUsage(_ condition: Bool, _ message: @autoclosure () -> String) {
    guard condition else { fatalError(message()) }
}

/// Calls a C function that makes a tensor.
func makeTensor(
    _ operation: StaticString,
    _ operands: [Tensor] = [],
    _ body: (UnsafeMutablePointer<OpaquePointer?>) -> CTStatus
) -> Tensor {
    var handle: OpaquePointer?
    let status = body(&handle)
    guard succeeded(status, operation, operands), let handle else { return .empty }
    return Tensor(owning: handle)
}
