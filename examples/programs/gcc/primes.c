#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_prime(long number) {
    for (long divisor = 2; divisor * divisor <= number; divisor++)
        if (number % divisor == 0)
            return false;
    return number > 1;
}

int main(int count, char **words) {
    long limit = count > 1 ? strtol(words[1], NULL, 10) : 10, primes = 0;
    for (long number = 0; number <= limit; number++)
        primes += is_prime(number);
    printf("%ld primes up to %ld\n", primes, limit);
    return 0;
}
