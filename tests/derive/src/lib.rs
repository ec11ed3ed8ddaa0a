//! Tests of the derive: what its expansion does, and what the compiler says to mistakes. Nothing
//! here is published.
